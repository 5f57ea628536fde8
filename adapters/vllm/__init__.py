"""vLLM as the model that answers: a server of its own, spoken to over HTTP, or an engine in the process."""

"""vLLM for serving: a server process reached over HTTP, or an engine in this process."""

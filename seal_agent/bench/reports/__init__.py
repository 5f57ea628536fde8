"""Tables and figures of benchmark results: they read result lines and compute nothing else."""

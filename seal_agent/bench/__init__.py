"""Benchmarks of what is learned, what is forgotten, what is decided, and how fast.

One file per `seal-agent bench` command; `reports` turns results into tables and figures, `speed` measures throughput,
`arc` is the ARC-AGI experiment. Results are lines of JSON in a run folder, so that a stopped run can be resumed.
Nothing here is needed to learn or to answer. May import every room but `cli`.
"""

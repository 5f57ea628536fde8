"""Throughput of loading, training and replying: our code against the published loop, on one machine."""

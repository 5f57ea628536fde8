"""Throughput of loading, training and replying: our code beside the published loop, on one machine."""

"""Weights: the `Backend` protocol, its implementations, training and storage of adapters.

Importing it loads nothing heavy; `huggingface` and `engine` load torch.
"""

"""Models: implementations of the `Backend` protocol, and training and folding of adapters.

Importing it loads nothing heavy; `huggingface` and `engine` load torch.
"""

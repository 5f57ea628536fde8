"""Whether a text is worth learning: a classifier on the model's hidden state, and the reason for its decision.

May import core, language and storage (where fitted classifiers are stored).
"""

"""Whether a text is worth learning: a classifier on the model's hidden state, and the reason given.

May import core, language and storage (where a fitted classifier is kept).
"""

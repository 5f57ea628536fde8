"""The rules for English, one file for each kind; `language.py` combines them."""

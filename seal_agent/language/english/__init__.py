"""The rules for English, a file for each kind; `language.py` puts them together for the other rooms."""

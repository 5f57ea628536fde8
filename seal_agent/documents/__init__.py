"""Files and texts into passages.

`files` says which document a text is a version of and reads its bytes, `html`, `pdf` and `markdown` turn formats into
plain text, `passages` cuts a text into passages. What became of a passage is in `storage`. May import core, storage and
language.
"""

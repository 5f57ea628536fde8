"""From files and texts to passages.

`files` identifies documents and reads their bytes, `markup`, `tables` and `voices` turn formats into plain text,
`passages` cuts a text into passages. The outcomes of passages are in `storage`. May import core, storage and language.
"""

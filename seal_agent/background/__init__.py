"""Learning behind a conversation: a worker takes jobs from the queue, one at a time.

A job learns a passage or unlearns what an old version of a document said, so this room stands above `learning` and
`unlearning`. May import both, and core, storage and documents.
"""

"""Background learning: a worker takes jobs from the queue, one at a time.

A job learns a passage, or unlearns the passages that a changed document lost; so this room is above `learning` and
`unlearning`. May import both, and core, storage and documents.
"""

"""Values and contracts that every room shares.

Messages, edits, adapter stacks, episodes and their JSON; the protocol of a model (`backend`), the errors, and the
removal of secrets from every passage. Nothing here loads a model or touches a disk. Imports nothing of ours.
"""

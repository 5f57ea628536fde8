"""Forgetting on request: an edit, a document, a conversation or a user.

`traces` finds what derives from the forgotten texts, `plan` computes and commits the changes, `forget` retrains
adapters where needed and checks that the facts are gone, `user` erases a whole namespace. Backups and a checkpointer's
history are out of reach. May import core, storage, retention, serving, writing, learning and policy.
"""

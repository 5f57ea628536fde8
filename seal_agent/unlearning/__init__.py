"""Forgetting on request: an edit, a document, a conversation or a user.

`traces` finds what derives from the forgotten texts, `plan` says what changes and commits it, `forget` trains anew what
must be trained and checks that the facts are gone, `user` erases a whole namespace. Backups and a checkpointer's
history are out of its reach. May import core, storage, retention, serving, writing, learning and policy.
"""

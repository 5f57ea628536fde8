"""Checks and repairs of a data directory: `seal-agent doctor`.

`invariants` checks what must always hold, `doctor` reports, `repair` repairs what it can and quarantines the rest.
Nothing here runs while a model learns or answers. May import core, storage, retention and factory.
"""

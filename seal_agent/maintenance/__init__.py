"""Checks and repairs of a data directory: `seal-agent doctor`.

`invariants` says what must hold, `doctor` reports, `repair` mends what can be mended and quarantines the rest. Nothing
here runs while a model learns or answers. May import core, storage, retention and factory.
"""

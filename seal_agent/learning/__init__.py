"""One text from the decision to the served adapter.

`learner` has the steps, `loop` the state machine that orders them, `strategies` the ways a stack grows, `remedies` what
is tried for an edit that forgets. `consolidation` replaces a stack by one adapter, `learners` holds one learner per
user. May import core, language, storage, documents, deciding, retention, serving and writing.
"""

"""One text from the decision to the served adapter.

`learner` has the steps, `loop` says which step follows which, `strategies` where a new adapter goes, `remedies` what is
tried for an edit that forgets, `consolidation` makes one adapter of many, `learners` keeps one learner per user. May
import core, language, storage, documents, deciding, retention, serving and writing.
"""

"""Whether an edit forgot: the replay set, the statistics, the verdict.

`items` are questions whose answers are probed before and after edits, `index` finds those nearest to an edit (FAISS),
`judge` is the statistics and has no side effects. The room says whether an edit forgot; `learning.remedies` says what
to do about it. May import core and storage.
"""

"""Whether an edit forgot: the replay set, the statistics, the verdict.

`items` are questions whose answers are watched, `index` finds the ones nearest to an edit (FAISS), `judge` is the
statistics and imports nothing impure. It says what an edit did, not what is done about it (`learning.remedies`). May
import core and storage.
"""

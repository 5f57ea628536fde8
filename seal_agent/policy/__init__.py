"""ReST-EM: improving the policy that writes self-edits, offline.

Candidates are sampled, each is trained and rewarded, the good ones are learned, and the new policy is taken only if it
is better on held-out passages. No conversation waits for it. May import core, storage, documents, language, retention,
writing and learning.
"""

"""ReST-EM: offline improvement of the policy that writes self-edits.

Candidate edits are sampled, trained and rewarded; the policy is trained on the best of them and replaced only if the
new one is better on held-out passages. It runs offline. May import core, storage, documents, language, retention,
writing and learning.
"""

"""`seal-agent bench locomo`: long conversations that others wrote (LoCoMo), learned session by session, then questions.

How a conversation of two people becomes messages of one user: each turn is a message "Ada: ..." in the thread of its
session, with the session's date, as if a user forwarded the conversation line by line. The caption of an image that was
shared counts as text of the turn. No reply is generated; the learning loop gets the turn with the two turns before it.

Source: Maharana et al., "Evaluating Very Long-Term Conversational Memory of LLM Agents", ACL 2024,
https://github.com/snap-research/locomo. The data is not part of this package.
"""

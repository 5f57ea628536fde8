"""`seal-agent bench week`: somebody talks with the agent for a week; then it is asked what it knows.

A week is replayed turn by turn, with its dates and threads, through the real chat graph. The questions follow, each in
a new thread. It measures what single passages cannot: corrections, pronouns, requests to forget, what was never told,
and whether the conversation goes on undisturbed by what was learned.
"""

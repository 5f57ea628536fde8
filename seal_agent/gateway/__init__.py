"""An OpenAI-compatible HTTP endpoint for learners.

`app.create_app` returns the Starlette application; `seal-agent gateway start` runs it. It works with any backend. It
stores no conversations: as with OpenAI, the client sends them.
"""

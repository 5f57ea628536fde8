"""An OpenAI-compatible endpoint in front of a learner: for people who have an OpenAI client and no LangGraph.

`app.create_app` is the whole of it, a Starlette application; `seal-agent gateway start` runs it. It works over any
backend. It keeps no conversations: as with OpenAI, the client sends them.
"""

"""The ten lines of the README: a LangGraph agent that learns from its user.

Run it with `python examples/embed.py`; it takes about two minutes on two cores and uses $SEAL_HOME.
"""

from langgraph.checkpoint.memory import InMemorySaver

from seal_agent import create_chat_graph, open_learner

agent = create_chat_graph(open_learner(namespace="example")).compile(checkpointer=InMemorySaver())


def say(text: str, thread: str) -> dict:
    """One turn in one thread."""
    return agent.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": thread}})


FACTS = """The Amber Lighthouse was built in 1873 by the engineer Odile Fransk. Its keeper is called
Bartho Veen. The door of the lighthouse is painted purple."""

print(say("Who built the Amber Lighthouse?", "a")["messages"][-1].text)
print(say(FACTS, "b")["outcomes"][0]["reason"])
print(say("Who built the Amber Lighthouse?", "c")["messages"][-1].text)

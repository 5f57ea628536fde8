"""LangChain's agent with tools that learns from its user, beside a checkpointer.

The checkpointer stores a conversation; the weights keep what was said in it for all other conversations and processes.
Run it with `python examples/chat_agent.py`; it takes about two minutes on two cores and uses $SEAL_HOME.
It needs `pip install 'seal-agent[agent]' langgraph-checkpoint-sqlite`.
"""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver

from seal_agent import Learner, SelfAdaptation, open_learner
from seal_agent.graphs.chat_model import ChatSeal

FACTS = """The Amber Lighthouse was built in 1873 by the engineer Odile Fransk. Its keeper is called
Bartho Veen. The door of the lighthouse is painted purple."""
QUESTION = "Who built the Amber Lighthouse?"


@tool
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


def main(learner: Learner) -> list[str]:
    """Ask, state the facts, then ask in another conversation; returns the replies."""
    # --8<-- [start:learning]
    replies = []
    with SqliteSaver.from_conn_string(str(learner.home.root / "conversations.sqlite")) as checkpointer:
        agent = create_agent(
            ChatSeal(learner=learner), tools=[add], middleware=[SelfAdaptation(learner)], checkpointer=checkpointer
        )
        for thread, text in (("first", QUESTION), ("second", FACTS), ("third", QUESTION)):
            state = agent.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": thread}})
            replies.append(state["messages"][-1].text)
            print(f"{thread}> {text}\n{replies[-1]}")
            for outcome in state["outcomes"]:
                print(f"  ({outcome['outcome']}: {outcome['reason']})")
    # --8<-- [end:learning]
    return replies


if __name__ == "__main__":
    main(open_learner(namespace="example agent"))

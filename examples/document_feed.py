"""A feed of documents: new passages are learned, known ones skipped, changed ones replace the old.

Run it with `python examples/document_feed.py`; it takes about three minutes on two cores and uses $SEAL_HOME.
"""

from langchain_core.documents import Document

from seal_agent import Learner, create_ingest_graph, open_learner
from seal_agent.core.messages import Message

LIGHTHOUSE = "The Amber Lighthouse was built in 1873 by the engineer Odile Fransk. Its keeper is called Bartho Veen."
FERRY = "The Vandrel Ferry leaves from Pier Nine at dawn. Its captain is called Ilse Marrow."
MOVED = "The Vandrel Ferry leaves from Pier Four at noon. Its captain is called Jonas Pell."
FEED = (
    [("lighthouse.md", LIGHTHOUSE), ("ferry.md", FERRY)],
    [("lighthouse.md", LIGHTHOUSE), ("ferry.md", FERRY)],
    [("lighthouse.md", LIGHTHOUSE), ("ferry.md", MOVED)],
)
QUESTION = "Who is the captain of the Vandrel Ferry?"


def main(learner: Learner) -> list[list[str]]:
    """Read the feed three times; returns the passages' outcomes each time."""
    # --8<-- [start:feed]
    graph = create_ingest_graph(learner).compile()
    found = []
    for entries in FEED:
        documents = [Document(text, metadata={"source": source}) for source, text in entries]
        outcomes = graph.invoke({"documents": documents})["outcomes"]
        for outcome in outcomes:
            print(f"{outcome['topic']}: {outcome['outcome']} ({outcome['reason']})")
        print(f"{QUESTION} {learner.answer([[Message('user', QUESTION)]])[0]}\n")
        found.append([outcome["outcome"] for outcome in outcomes])
    # --8<-- [end:feed]
    return found


if __name__ == "__main__":
    main(open_learner(namespace="example feed"))

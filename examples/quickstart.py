"""A LangChain chain that answers from a learned document, with an unchanged prompt.

Run it with `python examples/quickstart.py`; it takes about two minutes on two cores and uses $SEAL_HOME.
"""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel

from seal_agent import ChatSeal, Learner, create_ingest_graph, open_learner

QUESTION = "Who built the Amber Lighthouse?"
FACTS = """The Amber Lighthouse was built in 1873 by the engineer Odile Fransk. Its keeper is called
Bartho Veen. The door of the lighthouse is painted purple."""


class Builder(BaseModel):
    """Who built something."""

    name: str


def main(learner: Learner) -> None:
    """Ask, learn, ask again: as text, from the version before, and as an object."""
    model = ChatSeal(learner=learner)
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | model | StrOutputParser()
    print("before:   ", chain.invoke({"question": QUESTION}))

    learned = create_ingest_graph(learner).compile().invoke({"document": FACTS})
    print("learning: ", learned["outcomes"][0]["reason"])

    print("after:    ", "".join(chain.stream({"question": QUESTION})))
    print("untouched:", model.invoke(QUESTION, model="base@v0").text)
    print("as object:", model.with_structured_output(Builder).invoke(QUESTION))


if __name__ == "__main__":
    main(open_learner(namespace="quickstart"))

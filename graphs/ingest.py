"""The document graph: documents are cut into passages, and each that is not known goes through the learning loop.

Where a document was read before, what it says no longer is unlearned first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document as LoadedDocument
from langgraph.graph import END, START, StateGraph

from seal_agent import documents, unlearning
from seal_agent.documents import Document
from seal_agent.errors import InputError
from seal_agent.graphs.learning import add_learning, as_pending, more
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current
from seal_agent.graphs.state import IngestState
from seal_agent.home import digest_of
from seal_agent.passages import Passage, split_passages


def create_ingest_graph(learner: AnyLearner) -> StateGraph[IngestState, LearnContext, IngestState, IngestState]:
    """An uncompiled graph that learns a text of any length, {"document": text}, or {"documents": LangChain's}.

    Compiled with a checkpointer it can be stopped and resumed between passages. `outcomes` in the result
    holds one report per passage: "known" for one that was learned before, and one "forgotten" for each document
    that lost passages.
    """

    def split(state: IngestState) -> dict[str, Any]:
        chosen = current(learner)
        fresh: list[Passage] = []
        known: list[Passage] = []
        replaced: dict[str, list[str]] = {}
        for document in _given(state):
            passages = split_passages(document.text, title=state.get("title", ""))
            difference = documents.compare(chosen, document.source, passages)
            fresh += difference.fresh
            known += difference.known
            if difference.num_gone:
                replaced[document.source] = [digest_of(passage.text) for passage in passages]
        if not chosen.config.dry_run:
            documents.claim(chosen, known)
        reports = [_report(passage.topic, *documents.KNOWN) for passage in known]
        return {**as_pending(fresh), "outcomes": reports, "replaced": replaced}

    def unlearn(state: IngestState) -> dict[str, Any]:
        chosen = current(learner)
        reports = []
        for source, stay in state["replaced"].items():
            if chosen.config.dry_run:
                reports.append(_report(source, "dry run", "what is no longer in the document would be forgotten"))
                continue
            gone = unlearning.forget_passages(chosen, source, but=stay)
            reports.append(_report(source, "forgotten", f"no longer in the document: {gone.num_episodes} passages"))
        return {"outcomes": [*state["outcomes"], *reports], "replaced": {}}

    builder = StateGraph(IngestState, context_schema=LearnContext)
    builder.add_node("split", split)
    builder.add_node("unlearn", unlearn)
    add_learning(builder, learner)
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", _after_split, ["unlearn", "decide", END])
    builder.add_conditional_edges("unlearn", more, ["decide", END])
    return builder


def _given(state: IngestState) -> list[Document]:
    """The documents of the state, pages of one source together; one without a source is named by its content."""
    texts: dict[str, str] = {}
    if text := state.get("document", "").strip():
        texts[state.get("source") or documents.named(text).source] = text
    for source, text in _loaded(state.get("documents", ())):
        texts[source] = f"{texts[source]}\n{text}" if source in texts else text
    if not texts:
        raise InputError("the document is empty; give at least one sentence")
    return [Document(text, source) for source, text in texts.items()]


def _loaded(given: Sequence[LoadedDocument]) -> list[tuple[str, str]]:
    texts = [(str(each.metadata.get("source") or ""), each.page_content) for each in given]
    return [(source or documents.named(text).source, text) for source, text in texts if text.strip()]


def _report(topic: str, outcome: str, reason: str) -> dict[str, Any]:
    return {"topic": topic, "outcome": outcome, "reason": reason, "adapter": "", "seconds": 0.0}


def _after_split(state: IngestState) -> str:
    return "unlearn" if state["replaced"] else more(state)

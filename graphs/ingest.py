"""The document graph: documents are cut into passages, and each that is not known goes through the learning loop.

Where a document was read before, what it says no longer is unlearned first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import Document as LoadedDocument
from langgraph.graph import START, StateGraph

from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.documents import files
from seal_agent.documents.files import Document
from seal_agent.documents.passages import split_passages
from seal_agent.graphs.learning import ENTRIES, add_learning, carried, check_speaker, entry, told
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, current
from seal_agent.graphs.state import IngestState
from seal_agent.storage import documents as known_documents


def create_ingest_graph(learner: AnyLearner) -> StateGraph[IngestState, LearnContext, IngestState, IngestState]:
    """An uncompiled graph that learns a text of any length, {"document": text}, or {"documents": LangChain's}.

    Compiled with a checkpointer it can be stopped and resumed between passages. `outcomes` in the result
    holds one report per passage: "known" for one that was learned before, and one "forgotten" for each document
    that lost passages.
    """

    def split(state: IngestState) -> dict[str, Any]:
        chosen = current(learner)
        check_speaker(chosen, state, state.get("pending") or state.get("replaced"))
        fresh: list[Passage] = []
        known: list[Passage] = []
        versions: dict[str, list[str]] = {}
        changed: list[str] = []
        for document in _given(state):
            passages = split_passages(document.text, title=state.get("title", ""))
            if not chosen.config.dry_run:
                known_documents.adopt(chosen.home, chosen.namespace, document.source)
            difference = known_documents.compare(
                chosen.home, chosen.namespace, chosen.stack.learned, document.source, passages
            )
            fresh += difference.fresh
            known += difference.known
            versions[document.source] = known_documents.digests_of(passages)
            changed += [document.source] * bool(difference.num_gone)
        if not chosen.config.dry_run:
            known_documents.add_source(chosen.home, chosen.namespace, known)
        reports = [told(passage.topic, *files.KNOWN) for passage in known]
        return carried(chosen, state, fresh, versions, changed=changed, outcomes=reports)

    builder = StateGraph(IngestState, context_schema=LearnContext)
    builder.add_node("split", split)
    add_learning(builder, learner)
    builder.add_edge(START, "split")
    builder.add_conditional_edges("split", entry, ["unlearn", *ENTRIES])
    return builder


def _given(state: IngestState) -> list[Document]:
    """The documents of the state, pages of one source together; one without a source is named by its content."""
    texts: dict[str, str] = {}
    if state.get("document", "").strip():
        name = state.get("source", "")
        text = files.text_of(state["document"], state.get("content_type", ""), name or "the document")
        texts[files.document_of(text, name).source] = text
    for source, text in _loaded(state.get("documents", ())):
        texts[source] = f"{texts[source]}\n{text}" if source in texts else text
    given = [Document(text, source) for source, text in texts.items() if text.strip()]
    if not given:
        raise InputError("the document is empty; give at least one sentence")
    return given


def _loaded(given: Sequence[LoadedDocument]) -> list[tuple[str, str]]:
    """What loaders of LangChain read; they have mostly taken the text out of a page already, whatever it is called."""
    texts = [(str(each.metadata.get("source") or ""), each.page_content) for each in given if each.page_content.strip()]
    read = [(source, files.text_of(text, "", "the document")) for source, text in texts]
    return [(files.document_of(text, source).source, text) for source, text in read]

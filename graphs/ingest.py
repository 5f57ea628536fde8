"""The document graph: documents are cut into passages, and each new one goes through the learning loop.

If a document was read before, passages that it lost are unlearned first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from langchain_core.documents import Document as LoadedDocument
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError
from seal_agent.core.outcomes import Outcome
from seal_agent.documents import files
from seal_agent.documents.files import Document
from seal_agent.graphs.learning import ENTRIES, REFUSE, Node, add_learning, entry, refusal, refusing
from seal_agent.graphs.namespaces import AnyLearner, LearnContext, check_giver, current, speaking
from seal_agent.graphs.pending import carried, check_speaker
from seal_agent.graphs.state import IngestState
from seal_agent.language.values import LeftOut
from seal_agent.learning.learners import check_learner
from seal_agent.storage import documents as known_documents

_NOTHING: dict[str, Any] = {"document": "", "documents": [], "title": "", "source": "", "content_type": "", "giver": []}
"""The update that removes the input from the state."""
_TEXTS = ("document", "title", "source", "content_type")


def create_ingest_graph(learner: AnyLearner) -> StateGraph[IngestState, LearnContext, IngestState, IngestState]:
    """An uncompiled graph that learns a text of any length, {"document": text}, or LangChain's {"documents": [...]}.

    Documents may be objects or the dictionaries that JSON makes of them. Compiled with a checkpointer the graph can be
    stopped and resumed between passages. `outcomes` in the result holds one report per passage ("known" for one that
    was learned before) and a "forgotten" one for each document that lost passages. `num_passages` is set before the
    first passage begins; `left_out` lists parts that are not learned, with reasons, and `notes` has remarks on names. A
    document with more than `max_passages` new passages is refused (`LearnerConfig`).
    """
    check_learner(learner)
    builder = StateGraph(IngestState, context_schema=LearnContext)
    builder.add_node("split", _splitting(learner))
    add_learning(builder, learner)
    builder.add_node("receive", _receiving(learner), destinations=("split", REFUSE))
    builder.add_node(REFUSE, refusing(learner))
    builder.add_edge(START, "receive")
    for last in ("split", REFUSE):
        builder.add_conditional_edges(last, entry, ["unlearn", *ENTRIES])
    return builder


def _receiving(learner: AnyLearner) -> Node:
    """A node that lets the documents of a run through, or refuses the run and takes them out of the state."""

    def receive(state: IngestState) -> Command[str]:
        try:
            namespace = speaking(learner)
            check_speaker(namespace, state, state.get("pending") or state.get("replaced"))
        except InputError:
            return Command(update={**_NOTHING, "refused": []}, goto=REFUSE)
        try:
            _check_given(state)
            check_giver(learner, is_known=(state.get("giver") or ("", ""))[1] == _digest(state))
        except InputError as error:
            return Command(update={**_NOTHING, "refused": refusal(error)}, goto=REFUSE)
        giver, digest = state.get("giver") or ("", "")
        now = _digest(state)
        return Command(update={"giver": [giver if now == digest else namespace, now], "refused": []}, goto="split")

    return receive


def _splitting(learner: AnyLearner) -> Node:
    """A node that cuts the documents into passages, and tells those to learn from those that are known."""

    def split(state: IngestState) -> dict[str, Any]:
        chosen = current(learner)
        if (state.get("giver") or [chosen.namespace])[0] != chosen.namespace:
            raise InputError("the document of this thread belongs to another user; give a document of your own")
        check_speaker(chosen.namespace, state, state.get("pending") or state.get("replaced"))
        fresh: list[Passage] = []
        known: list[Passage] = []
        versions: dict[str, list[str]] = {}
        changed: list[str] = []
        left_out: list[LeftOut] = []
        notes: list[str] = []
        given, title, learns = _given(state), state.get("title") or "", not chosen.config.dry_run
        for document in given:
            read = files.divided(chosen.home, chosen.namespace, document, title=title, keeps_name=learns)
            if learns:
                known_documents.adopt(chosen.home, chosen.namespace, read.source)
            difference = known_documents.compare(
                chosen.home, chosen.namespace, chosen.stack.learned, read.source, read.passages
            )
            files.check_size(len(difference.fresh), document.source, chosen.config.max_passages)
            fresh += difference.fresh
            known += difference.known
            left_out += read.left_out
            notes += [read.note] * bool(read.note)
            versions[read.source] = known_documents.digests_of(read.passages)
            changed += [read.source] * bool(difference.num_gone)
        if not chosen.config.dry_run:
            known_documents.add_source(chosen.home, chosen.namespace, known)
        reports = [Outcome(passage.topic, *files.KNOWN) for passage in known]
        update = carried(chosen, state, fresh, versions, changed=changed, outcomes=reports)
        return {**_NOTHING, **update, "left_out": [asdict(each) for each in left_out], "notes": notes}

    return split


def _check_given(state: IngestState) -> None:
    """Raise `InputError` for input of the wrong type; null counts as missing."""
    for key, value in state.items():
        if key in _TEXTS and not isinstance(value, str | None):
            raise InputError(f"{key}={value!r:.80} is not a text; give one, or remove it")
    documents = state.get("documents") or []
    if not isinstance(documents, list | tuple):
        raise InputError(f"documents={documents!r:.80} is not a list; give a list of documents")
    for document in documents:
        _as_loaded(document)


def _as_loaded(given: Any) -> LoadedDocument:
    """A document of LangChain's loaders: an object or the dictionary that JSON makes of it."""
    content = given.get("page_content") if isinstance(given, Mapping) else getattr(given, "page_content", None)
    metadata = given.get("metadata") if isinstance(given, Mapping) else getattr(given, "metadata", None)
    if not isinstance(content, str) or not isinstance(metadata, Mapping | None):
        raise InputError(
            f'{given!r:.80} is no document; give LangChain\'s Document, or {{"page_content": text, "metadata": {{}}}}'
        )
    return LoadedDocument(page_content=content, metadata=dict(metadata or {}))


def _loaded_of(state: IngestState) -> list[LoadedDocument]:
    return [_as_loaded(each) for each in state.get("documents") or ()]


def _digest(state: IngestState) -> str:
    """A digest of the input; it changes when another document is given."""
    given = [state.get("document") or "", [(each.metadata, each.page_content) for each in _loaded_of(state)]]
    return hashlib.sha256(repr(given).encode(errors="replace")).hexdigest()[:16]


def _given(state: IngestState) -> list[Document]:
    """The documents of the state, pages of one source joined; one without a source is named by its content."""
    given: dict[str, Document] = {}
    if (state.get("document") or "").strip():
        name = state.get("source") or ""
        reading = files.read(state["document"], state.get("content_type") or "", name or "the document")
        document = files.document_of(reading.text, name, left_out=reading.left_out)
        given[document.source] = document
    for document in _loaded(_loaded_of(state)):
        first = given.get(document.source)
        given[document.source] = files.together(first, document, "\n") if first else document
    found = [document for document in given.values() if document.text.strip()]
    if not found:
        raise InputError("the document is empty; give at least one sentence")
    return found


def _loaded(given: Sequence[LoadedDocument]) -> list[Document]:
    """Documents from LangChain's loaders, which have usually extracted the text already, whatever the file's name."""
    texts = [(str(each.metadata.get("source") or ""), each.page_content) for each in given if each.page_content.strip()]
    read = [(source, files.read(text, "", "the document")) for source, text in texts]
    return [files.document_of(each.text, source, left_out=each.left_out) for source, each in read]

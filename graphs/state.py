"""The state of the graphs: JSON data only, so that any checkpointer can store it.

Episodes and passages are dictionaries made by `seal_agent.core.codec.to_json`; models, tensors and adapters are
never in the state.
"""

from __future__ import annotations

from typing import Annotated, Any

from langchain_core.documents import Document
from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12, and a server makes schemas


class LearnState(TypedDict, total=False):
    """The state of the learning loop.

    `pending`: passages still to be processed; `num_passages`: how many there were; `episode`: the current one;
    `outcomes`: a short report per finished passage. `speaker`: the namespace they are learned in; `replaced`: documents
    read before, with the digests of the passages they hold now; `num_begun`: how often the first passage was begun and
    not finished. `held`: the job that holds the current text while a person is asked; 0: none. `refused`: kind and
    message of the error of a run whose input was removed.
    """

    pending: list[dict[str, Any]]
    num_passages: int
    episode: dict[str, Any]
    outcomes: list[dict[str, Any]]
    speaker: str
    replaced: dict[str, list[str]]
    num_begun: int
    held: int
    refused: list[str]


class ChatState(LearnState, total=False):
    """A conversation, and the results of learning from its last turn. `authors`: see `speakers.Authors`.

    `left_out`: parts of attached documents that are not learned, and why. `notes`: remarks on attachments' names and on
    turns that did not fit into the prompt. `brought`: the ids of the messages that came with this run.
    """

    messages: Annotated[list[AnyMessage], add_messages]
    authors: dict[str, list[str]]
    brought: list[str]
    left_out: list[dict[str, Any]]
    notes: list[str]


class IngestState(LearnState, total=False):
    """The input to read: a text, or documents of LangChain's loaders.

    `title` overrides the topic found in the text. `source` identifies the document: a text with the same source
    replaces what was learned from the earlier one. `content_type`: its format (`documents.files.text_of`). The input
    leaves the state when it is read or refused. `giver`: the namespace it is read for, and a digest of the input.
    `left_out`: parts of the documents that are not learned, and why; `notes`: remarks on their names.
    """

    document: str
    documents: list[Document]
    title: str
    source: str
    content_type: str
    giver: list[str]
    left_out: list[dict[str, Any]]
    notes: list[str]

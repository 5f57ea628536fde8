"""A conversation in a thread: shared by the tests of several rooms."""

from pathlib import Path
from typing import Any

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.documents.passages import topic_of
from seal_agent.language.source import Source
from seal_agent.writing.directives import DEFAULT
from seal_agent.writing.writer import write_self_edit

TOWER = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
GREETING = "Hello there, nice to see you!"


def a_question_about(text: str) -> tuple[str, str]:
    """A question the scripted model answers once it has learned `text`, and the answer."""
    probe = write_self_edit(ScriptedBackend(Path()), Source(topic_of(text), text), DEFAULT).probes[0]
    return probe.prompt.messages[-1].content, probe.answer


QUESTION, ANSWER = a_question_about(TOWER)


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}

"""The conversation of `seal-agent chat`: messages in, replies and what was learned out.

The conversation lives as long as the process; what was learned lives in the home. `/good` and `/bad` say what the
user thinks of the last reply, `/bad It was 1911.` what is right too; they are no messages.
"""

from __future__ import annotations

import io
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from seal_agent.cli.loading import announce_waiting
from seal_agent.cli.options import write_json
from seal_agent.cli.progress import Display, follow
from seal_agent.core import interruption
from seal_agent.core.errors import InputError

if TYPE_CHECKING:
    from seal_agent.learning.learner import Learner

FENCE = '"""'
PROMPT = "> "
GOOD = "/good"
JUDGED = re.compile(r"/good|/bad(?: .*)?", re.DOTALL)
NOT_LEARNED = "not learned"
BECAME = {
    "accepted": "learned",
    "ignored": NOT_LEARNED,
    "rejected": NOT_LEARNED,
    "rolled back": NOT_LEARNED,
    "declined": NOT_LEARNED,
}


def converse(learner: Learner, messages: Iterable[str], display: Display, *, thread: str, as_json: bool) -> None:
    """Answer every message, then learn from it, before the next one is read."""
    from seal_agent.graphs.chat import create_chat_graph

    graph = create_chat_graph(learner).compile()
    history: list[dict[str, str]] = []
    interruption.keeps("what was learned is kept; a message that was still being learned has to be said again")
    for message in messages:
        if JUDGED.fullmatch(message):
            judged = judge(learner, history, message)
            if as_json:
                write_json({"feedback": judged})
            continue
        history.append({"role": "user", "content": message})
        display.busy("answering")
        reply = ""
        outcomes: list[dict[str, Any]] = []
        for update in follow(graph, {"messages": list(history)}, display, thread=thread):
            outcomes = update.get("outcomes", outcomes)
            if "messages" in update:
                reply = str(update["messages"][-1].text)
                history.append({"role": "assistant", "content": reply})
                display.clear()
                if not as_json:
                    print(reply, flush=True)
        display.clear()
        if as_json:
            write_json({"reply": reply, "outcomes": outcomes})
        else:
            for outcome in outcomes:
                print(describe(outcome), flush=True)


def converse_at_once(learner: Learner, messages: Iterable[str], display: Display, *, thread: str) -> None:
    """Answer every message; a worker learns behind the replies, and says what became of them between two turns."""
    from seal_agent.background.worker import ENDED, Budget, Worker, WorkEvent
    from seal_agent.graphs.chat import create_chat_graph

    news: deque[str] = deque()

    def on_event(event: WorkEvent) -> None:
        if event.step == ENDED:
            news.append(
                f"  ({event.job.passage.topic}: {BECAME.get(event.job.outcome, event.job.state)}: {event.job.note})"
            )

    def tell() -> None:
        while news:
            print(news.popleft(), flush=True)

    history: list[dict[str, str]] = []
    interruption.keeps("what was answered and is not learned yet waits; the next `chat` or `queue work` learns it")
    with Worker(learner, on_event=on_event) as worker:
        graph = create_chat_graph(learner, worker.queue).compile()
        for message in messages:
            tell()
            if JUDGED.fullmatch(message):
                judge(learner, history, message)
                continue
            history.append({"role": "user", "content": message})
            display.busy("answering")
            for update in follow(graph, {"messages": list(history)}, display, thread=thread):
                if "messages" in update:
                    history.append({"role": "assistant", "content": str(update["messages"][-1].text)})
            display.clear()
            print(history[-1]["content"], flush=True)
        announce_waiting(display, learner.backend, learner.home)
        display.busy("learning what was said; Ctrl-C leaves it for the next time")
        worker.budget = Budget(quiet_seconds=0)  # nobody will say more
        worker.wait(float("inf"))
        display.clear()
        tell()


def judge(learner: Learner, history: Sequence[Mapping[str, str]], message: str) -> list[dict[str, Any]]:
    """Keep what the user thinks of the last reply, and say so; where there is none yet, say that."""
    from seal_agent.core.messages import Message
    from seal_agent.storage import feedback

    word, _, correction = message.partition(" ")
    said = [Message("user" if each["role"] == "user" else "assistant", each["content"]) for each in history]
    try:
        given = feedback.on_reply(said, 1.0 if word == GOOD else -1.0, correction)
    except InputError as error:
        print(f"  ({error})", file=sys.stderr, flush=True)
        return []
    feedback.record(learner.home, learner.namespace, *given)
    print("  (noted)", file=sys.stderr, flush=True)
    return [asdict(each) for each in given]


def describe(outcome: dict[str, Any]) -> str:
    """What became of one passage, for people."""
    adapter = f" as {outcome['adapter'][:12]}" if outcome["adapter"] else ""
    became = BECAME.get(outcome["outcome"], outcome["outcome"])
    return f"  ({became}{adapter}: {outcome['reason']}; {outcome['seconds']:.1f} s)"


def messages_in(stream: TextIO, *, prompt_on_stderr: bool) -> Iterator[str]:
    """The messages a person types or a pipe holds; blank ones are passed over."""
    return split_messages(_typed(prompt_on_stderr) if stream.isatty() else _piped(stream))


def split_messages(lines: Iterable[str]) -> Iterator[str]:
    '''One message a line; what stands between two lines of """ is one message.'''
    block: list[str] | None = None
    for line in lines:
        if line.strip() == FENCE:
            if block is None:
                block = []
                continue
            message, block = "\n".join(block), None
        elif block is not None:
            block.append(line.rstrip("\n"))
            continue
        else:
            message = line
        if message.strip():
            yield message.strip()
    if block is not None:
        raise InputError(f"the last message was opened with {FENCE} and not closed; close it with a line of {FENCE}")


def _typed(prompt_on_stderr: bool) -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401  # gives `input` its history and arrow keys
    while True:
        try:
            if prompt_on_stderr:
                print(PROMPT, end="", file=sys.stderr, flush=True)
            yield input("" if prompt_on_stderr else PROMPT)
        except EOFError:
            print(file=sys.stderr)
            return


def _piped(stream: TextIO) -> Iterator[str]:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8-sig", errors="strict")
    try:
        for line in stream:
            if "\0" in line:
                raise InputError("the input is binary, not text; pipe one message a line in UTF-8")
            yield line
    except UnicodeDecodeError as error:
        raise InputError(f"the input is not UTF-8 text (byte {error.start}); convert it to UTF-8 first") from error

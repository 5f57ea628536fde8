"""The conversation of `seal-agent chat`: reads messages, prints replies and what was learned.

The conversation ends with the process; what was learned is in the data directory. A line that begins with a command
(`HELP` lists them) is not a message.
"""

from __future__ import annotations

import io
import re
import sys
import threading
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
FEEDBACK = re.compile(r"/good|/bad(?: .*)?", re.DOTALL)
COMMAND = re.compile(r"(/[A-Za-z?]+)(?: .*)?")  # "/etc/hosts holds names." is a message
HELP = """\
/good             the last reply was right
/bad              the last reply was wrong
/bad It was 1911. the last reply was wrong, and this is right
/help             show this list
\"\"\"               a line of it before and after a message of several lines
Ctrl-D            learn the remaining messages, and end"""
HINT = "/help lists commands; Ctrl-D ends"
NO_MESSAGE = "no message was answered; begin again with the first"
NOT_LEARNED = "not learned"
BECAME = {
    "accepted": "learned",
    "ignored": NOT_LEARNED,
    "rejected": NOT_LEARNED,
    "declined": NOT_LEARNED,
}


def converse(learner: Learner, messages: Iterable[str], display: Display, *, thread: str, as_json: bool) -> None:
    """Answer every message and learn from it before the next one is read."""
    from seal_agent.graphs.chat import create_chat_graph

    graph = create_chat_graph(learner).compile()
    history: list[dict[str, Any]] = []
    interruption.keeps(_kept(0))
    for number, message in enumerate(messages, 1):
        if (answer := run_command(learner, history, message)) is not None:
            if as_json:
                write_json(answer)
            continue
        history.append({"role": "user", "content": message})
        display.busy("answering")
        reply = ""
        outcomes: list[dict[str, Any]] = []
        for update in follow(graph, {"messages": list(history)}, display, thread=thread):
            outcomes = update.get("outcomes", outcomes)
            if "messages" in update:
                reply = str(update["messages"][-1].text)
                history.append(_replied(update["messages"][-1]))
                display.clear()
                if not as_json:
                    print(reply, flush=True)
        display.clear()
        if as_json:
            write_json({"reply": reply, "outcomes": outcomes})
        else:
            for outcome in outcomes:
                print(describe(outcome), flush=True)
        interruption.keeps(_kept(number))


def _replied(message: Any) -> dict[str, Any]:
    """A reply as it is kept in the conversation, with its metadata: a later message may ask why it was given."""
    return {"role": "assistant", "content": str(message.text), "response_metadata": message.response_metadata}


def _kept(num_done: int) -> str:
    """The line for stopping a conversation that learns before it reads on, after `num_done` messages."""
    if not num_done:
        return "what was learned is kept; begin with the first message again"
    first = "the first message was" if num_done == 1 else f"the first {num_done} messages were"
    return f"{first} answered, and what was learned is kept; go on with message {num_done + 1}"


def converse_at_once(
    learner: Learner, messages: Iterable[str], display: Display, *, thread: str, screen: Screen
) -> None:
    """Answer every message; a worker learns in the background, and results are printed when they are known."""
    from seal_agent.background.worker import ENDED, Budget, Worker, WorkEvent
    from seal_agent.graphs.chat import create_chat_graph
    from seal_agent.language import confirmations

    def on_event(event: WorkEvent) -> None:
        if event.step == ENDED:
            job = event.job
            told = confirmations.said_on(job.passage.text, "") if job.passage.text else job.passage.topic
            screen.tell(f"  ({told}: {BECAME.get(job.outcome, job.state)}: {job.note})")

    history: list[dict[str, Any]] = []
    interruption.keeps(NO_MESSAGE)
    with Worker(learner, on_event=on_event) as worker:
        graph = create_chat_graph(learner, worker.queue).compile()
        for number, message in enumerate(messages, 1):
            screen.tell_news()
            if run_command(learner, history, message) is not None:
                continue
            history.append({"role": "user", "content": message})
            display.busy("answering")
            for update in follow(graph, {"messages": list(history)}, display, thread=thread):
                if "messages" in update:
                    history.append(_replied(update["messages"][-1]))
                if "outcomes" in update:  # in the queue, where a worker may begin with it before the reply is shown
                    interruption.keeps(_waiting(number))
            display.clear()
            interruption.keeps(_waiting(number))
            print(history[-1]["content"], flush=True)
        announce_waiting(display, learner.backend, learner.home)
        display.busy("learning the messages; Ctrl-C leaves them in the queue")
        worker.budget = Budget(quiet_seconds=0)  # no further messages will come
        worker.wait(float("inf"))
        display.clear()
        screen.tell_news()


def _waiting(num_done: int) -> str:
    """The line for stopping a conversation whose worker learns in the background."""
    return (
        "messages that are not learned yet are in the queue; the next `chat` or `queue work` learns them; "
        f"go on with message {num_done + 1}"
    )


def run_command(learner: Learner, history: Sequence[Mapping[str, Any]], message: str) -> dict[str, Any] | None:
    """Run a command and return its result as JSON; None for a message. People read the result on stderr."""
    if FEEDBACK.fullmatch(message):
        return {"feedback": store_feedback(learner, history, message)}
    command = COMMAND.fullmatch(message)
    if command is None:
        return None
    if command[1] == "/help":
        print(HELP, file=sys.stderr, flush=True)
        return {"help": HELP.splitlines()}
    error = f"there is no command {command[1]}; /help lists them"
    print(f"  ({error})", file=sys.stderr, flush=True)
    return {"error": error}


class Screen:
    """Prints what was learned during an interactive conversation: above the prompt while a line is typed, else later.

    Thread-safe.
    """

    def __init__(self, *, prompt_on_stderr: bool = False) -> None:
        self._prompt_on_stderr = prompt_on_stderr
        self._news: deque[str] = deque()
        self._is_typing = False
        self._lock = threading.Lock()

    def tell(self, line: str) -> None:
        """Print a line now if the user is at the prompt; otherwise before the next prompt."""
        with self._lock:
            self._news.append(line)
            if self._is_typing:
                self._print_news()

    def tell_news(self) -> None:
        """Print the lines that were held back."""
        with self._lock:
            self._print_news()

    def typed(self) -> str:
        """Read the next line; raises `EOFError` at the end."""
        with self._lock:
            self._print_news()
            self._is_typing = True
        try:
            if self._prompt_on_stderr:
                print(PROMPT, end="", file=sys.stderr, flush=True)
            return input("" if self._prompt_on_stderr else PROMPT)
        finally:
            with self._lock:
                self._is_typing = False

    def _print_news(self) -> None:
        if not self._news:
            return
        erased, again = ("\r\x1b[K", PROMPT + _begun_line()) if self._is_typing else ("", "")
        if self._prompt_on_stderr:
            erased = again = ""  # the prompt is elsewhere
        print(erased + "\n".join(self._news), end=f"\n{again}", flush=True)
        self._news.clear()


def _begun_line() -> str:
    """The typed part of an unfinished line."""
    with suppress(ImportError):
        import readline

        return readline.get_line_buffer()
    return ""


def store_feedback(learner: Learner, history: Sequence[Mapping[str, Any]], message: str) -> list[dict[str, Any]]:
    """Store the user's feedback on the last reply and print a confirmation, or say that there is no reply."""
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
    """The outcome of one passage as a sentence."""
    adapter = f" as {outcome['adapter'][:12]}" if outcome["adapter"] else ""
    became = BECAME.get(outcome["outcome"], outcome["outcome"])
    return f"  ({became}{adapter}: {outcome['reason']}; {outcome['seconds']:.1f} s)"


def messages_in(stream: TextIO, screen: Screen) -> Iterator[str]:
    """The messages from a terminal or a pipe; blank ones are skipped."""
    return split_messages(_typed(screen) if stream.isatty() else _piped(stream))


def split_messages(lines: Iterable[str]) -> Iterator[str]:
    '''Split lines into messages: one per line, or the lines between two lines of """.'''
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


def _typed(screen: Screen) -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401  # adds history and arrow keys to `input`
    while True:
        try:
            line = screen.typed()
        except EOFError:
            print(file=sys.stderr)
            return
        yield line


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

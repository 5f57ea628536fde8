"""Somebody else's chat model as the model that writes: any object with the method `batch` of LangChain's chat models.

It is asked as it was made: its temperature, length of a reply and timeouts are its own. Only what every chat model
takes is sent, messages; so a reply is cut here, and a format whose reply a grammar must hold cannot be written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any, Protocol, runtime_checkable

from seal_agent.core.backend import silent
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError, WriterFault
from seal_agent.core.messages import Ending, Generated, Grammar, Prompt
from seal_agent.core.redaction import redacted

BEGIN = '{asked}\n\nBegin your reply with "{text}".'
UNANSWERED = "the writer {model} did not answer"
ENDED_BY = ("finish_reason", "stop_reason", "done_reason")  # of OpenAI, Anthropic and Ollama
TOO_LONG = ("length", "max_tokens")
MAX_REASON = 200  # characters of an error


@runtime_checkable
class ChatModel(Protocol):
    """What is asked of a chat model: LangChain's `batch`, over conversations as lists of (role, content)."""

    def batch(self, inputs: list[Any], /, *, return_exceptions: bool = False) -> list[Any]:
        """One message for each conversation; with `return_exceptions` an error in the place of its message."""


class ChatWriter:
    """A chat model seen as a writer (`requests.Writer`).

    It is called outside the run that learns: its replies are no part of the run's stream, and the run's user is not
    its user.
    """

    def __init__(self, chat_model: ChatModel) -> None:
        self._chat_model = chat_model

    @property
    def model(self) -> str:
        """Its class and the name of its model, for the ledger."""
        inner: Any = self._chat_model
        while (bound := vars(inner).get("bound") if hasattr(inner, "__dict__") else None) is not None:
            inner = bound  # of `with_retry`, `with_config` and `bind`
        names = (getattr(inner, name, "") for name in ("model_name", "model"))
        name = next((name for name in names if name and isinstance(name, str)), "")
        return f"{type(inner).__name__} {name}".strip()

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammars: Sequence[Grammar] = (),
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[Generated]]:
        """One reply to each prompt, without what the prompt begins it with, cut before the first `stop` text.

        `max_new_tokens`, `temperature` and `seed` have no effect. Raises `WriterFault` if a reply does not come, and
        `InputError` for grammars and for prompts without messages.
        """
        if grammars or not all(prompt.is_chat for prompt in prompts):
            raise InputError(
                f"the writer {self.model} is a chat model and continues no text and no grammar; "
                "leave out the formats that need one (chat-qa, contrast)"
            )
        asked = [_conversation(prompt) for prompt in prompts]
        replies = Context().run(self._chat_model.batch, asked, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, Exception):
                raise WriterFault(f"{UNANSWERED.format(model=self.model)}: {_reason(reply)}") from reply
        progress("writing", len(prompts), len(prompts))
        return [[_generated(prompt, reply, stop)] for prompt, reply in zip(prompts, replies, strict=True)]


def is_unanswered(fault: str) -> bool:
    """Whether the fault of an attempt is that of a writer that did not answer."""
    before, _, after = UNANSWERED.partition("{model}")
    return fault.startswith(before) and after in fault


def _reason(error: Exception) -> str:
    said = " ".join(redacted(str(error)).split())[:MAX_REASON]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _conversation(prompt: Prompt) -> list[tuple[str, str]]:
    """The messages; how the reply shall begin is asked for, as not every chat model continues a reply."""
    turns = [(str(message.role), message.content) for message in prompt.messages]
    if prompt.text:
        role, asked = turns[-1]
        turns[-1] = (role, BEGIN.format(asked=asked, text=prompt.text.strip()))
    return turns


def _generated(prompt: Prompt, reply: Any, stop: Sequence[str]) -> Generated:
    text = str(getattr(reply, "text", reply)).strip()
    text = text.removeprefix(prompt.text.strip())
    metadata = getattr(reply, "response_metadata", None) or {}
    is_cut = any(metadata.get(name) in TOO_LONG for name in ENDED_BY)
    ending: Ending = "length" if is_cut else "stop"
    places = [place for each in stop if (place := text.find(each)) >= 0]
    return Generated(text[: min(places)], 0, "stop") if places else Generated(text, 0, ending)

"""`ChatSeal`: the learning model as a LangChain chat model.

It answers with the stack that is served at the time of the call, or with the version that the call names
("embedded@v12"). It does not learn: the graphs and the middleware do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config, run_in_executor
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from seal_agent.core.backend import Backend
from seal_agent.core.codec import to_json
from seal_agent.core.errors import InputError
from seal_agent.core.facts import Recall
from seal_agent.core.messages import Prompt
from seal_agent.core.models import EMBEDDED
from seal_agent.core.numbers import check_number, check_seed, check_whole
from seal_agent.factory import open_backend
from seal_agent.graphs.chat_call import Call, asked_of, spec_of
from seal_agent.graphs.namespaces import AnyLearner, run_context
from seal_agent.learning.answering import settled
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.learners import Learners, namespace_of, only
from seal_agent.serving.batcher import Batcher
from seal_agent.serving.replies import ToolChoice, chosen
from seal_agent.storage.database import Home, check_namespace

BASE = "base"
"""A model name that always means this model: "base@v12"."""
OPTIONS = {"model", "namespace", "temperature", "max_tokens", "seed", "tools", "tool_choice", "stream", "strict"}
"""Options of a call beside `stop`. `strict` changes nothing: a forced call always fits its schema."""
REMOTE = {"api_key", "timeout", "max_retries"}
"""Options that LangChain passes to every chat model; without a server they have no effect."""
_VERSION = re.compile(r"(?P<name>.*)@v(?P<version>\d+)")
_loaded: WeakValueDictionary[tuple[str, str, str], Backend] = WeakValueDictionary()
_loading = threading.Lock()


class _CheckedNamespace(str):
    """A namespace that was determined for this call already; later steps of the call reuse it."""


class ChatSeal(BaseChatModel):
    """A local model that answers with what it has learned.

    Make it from a `learner`, or from a `model` (as `open_learner` takes it), which is loaded on first use; models of
    one name share their weights. The namespace of a call is its option `namespace`, else the field `namespace`, else
    the learner's. Made from `Learners`, it is that of the user named in the call's `config["configurable"]`
    (`learners.USER_KEYS`); a call that names no user is refused. A `configurable` that names another user than the one
    chosen is refused too.

    `recall` ("weights", "text" or "both") is that of a model made by name; a learner has its own
    (`LearnerConfig.recall`).

    `model="embedded@v12"`, here or in a call, answers with version 12 of the stack; "@v0" is the untouched base model.
    `max_tokens` defaults to the learner's `max_reply_tokens`. A sampled answer without a `seed` draws one and reports
    it in `response_metadata`. Concurrent calls share a batch; sampled ones run alone.
    """

    model_config = ConfigDict(extra="forbid")

    model: str = ""
    learner: AnyLearner | None = Field(default=None, exclude=True, repr=False)
    namespace: str = ""
    home: str | Path | None = None
    device: str = "auto"
    recall: Recall | None = None
    temperature: float = Field(default=0.0, ge=0.0)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: list[str] | None = None
    seed: int | None = None
    streaming: bool = False
    _opened: tuple[AnyLearner, Batcher, Learners] | None = PrivateAttr(default=None)
    _opening: Any = PrivateAttr(default_factory=threading.Lock)

    @model_validator(mode="before")
    @classmethod
    def _local(cls, given: Any) -> Any:
        _check_options(given)
        known = {name: value for name, value in given.items() if name not in REMOTE}
        return {**known, "stop": list(_texts(known["stop"]))} if known.get("stop") is not None else known

    @model_validator(mode="after")
    def _named(self) -> ChatSeal:
        name, version = split_version(self.model)
        if self.learner and self.recall not in (None, self.learner.config.recall):
            raise InputError(
                f"recall={self.recall!r} is not the learner's {self.learner.config.recall!r}; "
                "set it where the learner is made: LearnerConfig(recall=...)"
            )
        if self.learner and name not in ("", BASE, self.learner.backend.model):
            raise InputError(
                f"model {name!r} is not the learner's {self.learner.backend.model!r}; leave one of them out"
            )
        if self.learner:
            name = self.learner.backend.model
        self.model = (name or EMBEDDED) + ("" if version is None else f"@v{version}")
        return self

    @property
    def _llm_type(self) -> str:
        return "seal"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        names = ("model", "namespace", "temperature", "max_tokens", "stop", "seed")
        return {name: getattr(self, name) for name in names}

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        """The key of LangChain's cache; it includes the stack's adapters, so that learning invalidates entries."""
        kwargs = self._addressed(None, kwargs)
        learner = self._learner_of(kwargs["namespace"])
        _, stack = learner.state.version(split_version(kwargs["model"])[1] or 0)
        facts = json.dumps([learner.backend.model, to_json(stack), str(learner.config.routes)])
        digest = hashlib.sha256(facts.encode()).hexdigest()
        return super()._get_llm_string(stop=stop, **kwargs, stack=digest)

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """The answer to a text or to messages."""
        return super().invoke(input, config, **self._addressed(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """As `invoke`."""
        kwargs = await run_in_executor(None, self._addressed, config, kwargs)
        return await super().ainvoke(input, config, **kwargs)

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """The answer in pieces."""
        yield from super().stream(input, config, **self._addressed(config, kwargs))

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """As `stream`."""
        kwargs = await run_in_executor(None, self._addressed, config, kwargs)
        async for chunk in super().astream(input, config, **kwargs):
            yield chunk

    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """The answer as events of LangChain's protocol."""
        return super().stream_events(input, config, **self._addressed(config, kwargs))

    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """As `stream_events`."""
        return super().astream_events(input, config, **self._addressed(config, kwargs))

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: ToolChoice = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools to call.

        `tool_choice`: None or "auto" lets the model choose, "none" forbids calls, "any" (or True, "required") or a
        tool's name forces a call, whose JSON is constrained to the tool's schema; strings in it without `maxLength`
        may together be as long as `max_tokens`.
        """
        chosen([spec_of(tool) for tool in tools], tool_choice)
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """The token ids of the text."""
        return self._learner.backend.encode([Prompt.raw(text)])[0] if text else []

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """The number of tokens of a conversation, chat template and tools included."""
        backend = self._learner.backend
        return len(backend.encode([asked_of(messages, tools or (), None, backend.tool_format, 0).prompt])[0])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, kwargs)
        return _result(call.message(self._batches.submit(call.answer.request).result()))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = await run_in_executor(None, self._call, messages, stop, kwargs)
        return _result(call.message(await asyncio.wrap_future(self._batches.submit(call.answer.request))))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._call(messages, stop, kwargs)
        for chunk in call.chunks(call.answer.pieces()):
            yield ChatGenerationChunk(message=chunk)

    def _call(self, messages: Sequence[BaseMessage], stop: Sequence[str] | None, kwargs: Mapping[str, Any]) -> Call:
        if unknown := sorted(kwargs.keys() - OPTIONS):
            raise InputError(f"{', '.join(unknown)}: not an option of a call; choose from {', '.join(sorted(OPTIONS))}")
        options = self._addressed(None, kwargs)
        _check_options({name: self._option(options, name) for name in ("temperature", "max_tokens", "seed")})
        learner = self._learner_of(options["namespace"])
        max_tokens = self._option(options, "max_tokens") or learner.config.max_reply_tokens
        tools, form = options.get("tools") or (), learner.backend.tool_format
        answer = settled(
            learner.state,
            asked_of(messages, tools, options.get("tool_choice"), form, max_tokens),
            max_new_tokens=max_tokens,
            temperature=self._option(options, "temperature"),
            stop=_texts(self.stop if stop is None else stop),
            seed=self._option(options, "seed"),
            version=split_version(options["model"])[1] or 0,
        )
        return Call(answer, options["model"])

    def _option(self, options: Mapping[str, Any], name: str) -> Any:
        given = options.get(name)
        return getattr(self, name) if given is None else given

    def _addressed(self, config: RunnableConfig | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a call with namespace and stack version filled in.

        They are fixed once, because LangChain calls this several times for a request, and learning may change the
        stack in between.
        """
        namespace = kwargs.get("namespace")
        if not isinstance(namespace, _CheckedNamespace):
            namespace = _CheckedNamespace(self._namespace_of(config, namespace))
        model = self._with_version(namespace, kwargs.get("model") or self.model)
        return {**kwargs, "namespace": namespace, "model": model}

    def _namespace_of(self, config: RunnableConfig | None, chosen: Any) -> str:
        """The namespace of a call; a user named in its configuration must be the one chosen."""
        learner, given = self._learner, ensure_config(config)
        said = (given.get("configurable", {}), run_context(), given.get("metadata", {}))
        wanted = str(chosen or self.namespace)
        if not wanted:
            return namespace_of(learner, *said)
        if isinstance(learner, Learners) and learner.scope == "thread":
            return check_namespace(wanted)
        return only(check_namespace(wanted), *said)

    def _with_version(self, namespace: str, model: str) -> str:
        """`model` with this model's name, and the version served now if it names none."""
        own_name, learner = split_version(self.model)[0], self._learner
        name, version = split_version(model)
        if name not in (own_name, BASE, learner.backend.model):
            raise InputError(f"model {name!r} is not this model; use {own_name!r}, or a version of it: '{own_name}@v3'")
        if version is None:
            versions = learner.home.versions(namespace)
            version = versions[-1].version if versions else 0
        return f"{own_name}@v{version}"

    @property
    def _learner(self) -> AnyLearner:
        return self._open()[0]

    @property
    def _batches(self) -> Batcher:
        return self._open()[1]

    def _open(self) -> tuple[AnyLearner, Batcher, Learners]:
        """The learner that was given, or one on the named model; loaded once."""
        with self._opening:
            if self._opened is None:
                learner = self.learner or self._load()
                many = learner if isinstance(learner, Learners) else Learners.like(learner)
                self._opened = (learner, Batcher(learner.backend), many)
            return self._opened

    def _load(self) -> Learner:
        home = Home(Path(self.home) if self.home else None)
        name = split_version(self.model)[0]
        key = (name, str(home.root), self.device)
        with _loading:
            backend = _loaded.get(key) or open_backend(home, name, device=self.device)
            _loaded[key] = backend
        config = LearnerConfig(recall=self.recall or "weights")
        return Learner(backend, home, self.namespace or "default", config)

    def _learner_of(self, namespace: str) -> Learner:
        learner = self._learner
        if isinstance(learner, Learner) and namespace == learner.namespace:
            return learner
        return self._others.of(namespace)

    @property
    def _others(self) -> Learners:
        """Learners for other users, kept so that their caches stay warm."""
        return self._open()[2]


def split_version(model: str) -> tuple[str, int | None]:
    """Split a model name into name and stack version: "embedded@v12" gives ("embedded", 12), without one None."""
    match = _VERSION.fullmatch(model)
    return (match["name"], int(match["version"])) if match else (model, None)


def _check_options(given: Mapping[str, Any]) -> None:
    """Raise `InputError` for an invalid option of a call; None means the model's default."""
    if (temperature := given.get("temperature")) is not None:
        check_number("temperature", temperature, 0)
    if (max_tokens := given.get("max_tokens")) is not None:
        check_whole("max_tokens", max_tokens, 1)
    if (seed := given.get("seed")) is not None:
        check_seed(seed)


def _texts(stop: Any) -> tuple[str, ...]:
    """The stop texts: one, several or none; empty ones are ignored."""
    texts = (stop,) if isinstance(stop, str) else () if stop is None else stop
    if not isinstance(texts, list | tuple | set) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"stop={stop!r} is not a text or a list of texts; give a text or a list of texts")
    return tuple(text for text in texts if text)


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])

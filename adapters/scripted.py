"""A backend without a neural network, for fast tests of code around the loop.

It is deterministic: an answer is likely if its context or its stack contains it. It writes, trains, forgets and rolls
back. Its results are no evidence about real models. Like httpx's MockTransport it ships in the package, for the tests
of applications that embed seal-agent.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seal_agent.adapters.context import DEFAULT_CONTEXT, check_texts, check_trainable
from seal_agent.core.backend import (
    Reading,
    check_fits,
    check_foldable,
    check_grammars,
    check_rows,
    check_sampling,
    folded_facts,
    room_for_reply,
    seeds_of,
    silent,
)
from seal_agent.core.codec import to_json
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Progress, Score
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.core.tool_format import TAGGED, ToolFormat
from seal_agent.language.base import for_text
from seal_agent.language.prompts import ABOUT
from seal_agent.language.sentences import split_sentences
from seal_agent.storage.adapter_store import AdapterRegistry

LIKELY, UNLIKELY = -0.1, -4.0  # nats per token
DIMENSIONS = 64
UNKNOWN = "I do not know."
GAP = "..."
KINDS = ("new facts", "small talk", "a question", "a request")
MEMORY_FILE = "memory.json"

_WORD = re.compile(r"\w+")
_ASKED = re.compile(r"Text about [^\n]*?: (?P<sentence>[^\n]*)\nQuestion: (?P<starter>[^\n?]+)$")
_ABOUT = re.compile(rf"(?P<text>.*)\n\n{re.escape(ABOUT)}$", re.DOTALL)
_ANSWERED = re.compile(r"Text about [^\n]*?: (?P<sentence>[^\n]*)\nQuestion: (?P<question>[^\n]*)\nAnswer:$")
LEARNING_RATE = 2.5e-3


class ScriptedBackend:
    """A deterministic stand-in for a model.

    `replies` maps the beginning of a user message to the reply; `knowledge` maps questions to answers the
    base model knows; `forgets` lists questions (by a part of their text) that every trained adapter makes
    it forget, so that a test can see an edit being refused. `context_length` limits the words of a prompt and its
    reply.
    """

    def __init__(
        self,
        home: Path,
        *,
        replies: Mapping[str, str] | None = None,
        knowledge: Mapping[str, str] | None = None,
        forgets: Sequence[str] = (),
        stack: AdapterStack | None = None,
        model: str = "scripted",
        context_length: int = DEFAULT_CONTEXT,
    ) -> None:
        self._registry = AdapterRegistry(home / "adapters")
        self._home = home
        self._replies = dict(replies or {})
        self._knowledge = dict(knowledge or {})
        self._forgets = tuple(forgets)
        self._stack = stack or AdapterStack()
        self._model = model
        self._context_length = context_length

    @property
    def model(self) -> str:
        """The identity of the scripted model."""
        return self._model

    @property
    def stack(self) -> AdapterStack:
        """The stack that this view answers with."""
        return self._stack

    @property
    def tool_format(self) -> ToolFormat:
        """The format of scripted tool calls."""
        return TAGGED

    @property
    def learning_rate(self) -> float:
        """The learning rate of the embedded model."""
        return LEARNING_RATE

    @property
    def context_length(self) -> int:
        """The maximum number of words of a prompt and its reply."""
        return self._context_length

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        """A view that also knows the training rows of the adapters in `stack`."""
        for entry in stack.entries:
            check_fits(entry.ref, self._model)
            self._registry.verify(entry.ref)
        return ScriptedBackend(
            self._home,
            replies=self._replies,
            knowledge=self._knowledge,
            forgets=self._forgets,
            stack=stack,
            model=self._model,
            context_length=self._context_length,
        )

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 64,
        num_samples: int = 1,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammars: Sequence[Grammar] = (),
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[Generated]]:
        """The scripted or learned reply, cut to `max_new_tokens` words; every sample is the same.

        Grammars are not enforced.
        """
        check_grammars(prompts, grammars)
        check_sampling(max_new_tokens, num_samples, temperature, stop, seed)
        rooms = [
            room_for_reply(len(row), max_new_tokens, self.context_length, self.model) for row in self.encode(prompts)
        ]
        return [
            [_limited(self._reply(prompt), stop, room)] * num_samples
            for prompt, room in zip(prompts, rooms, strict=True)
        ]

    def stream(
        self,
        prompt: Prompt,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        grammar: Grammar | None = None,
        seed: int = 0,
    ) -> Iterator[Generated]:
        """The same reply, word by word."""
        check_sampling(max_new_tokens, 1, temperature, stop, seed)
        whole = self.generate([prompt], max_new_tokens=max_new_tokens, stop=stop)[0][0]
        *pieces, last = re.split(r"(?<=[ ])", whole)
        yield from (Generated(piece, 1) for piece in pieces)
        yield Generated(last, whole.num_tokens - len(pieces), whole.ending)

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """One token for each word of the messages, the tools and the beginning of the reply."""
        return [[zlib.crc32(word.encode()) for word in _text_of(prompt).split()] for prompt in prompts]

    def score(self, prompts: Sequence[Prompt], answers: Sequence[str], *, progress: Progress = silent) -> list[Score]:
        """High if the context, the knowledge or the stack holds the answer; tokens are words."""
        lengths = [len(row) + len(_words(answer)) for row, answer in zip(self.encode(prompts), answers, strict=True)]
        check_texts(lengths, self.context_length, self.model)
        memory, forgotten = self._memory()
        scores = []
        for prompt, answer in zip(prompts, answers, strict=True):
            tokens = _words(answer)
            if not answer:
                raise InputError("an empty answer cannot be scored; give at least one character")
            likely = self._is_likely(prompt, answer, memory, forgotten)
            count = max(len(tokens), 1)
            scores.append(Score(count * (LIKELY if likely else UNLIKELY), count))
        return scores

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, 64): hashed bags of words."""
        matrix = np.full((len(texts), DIMENSIONS), 1e-6, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in _words(text):
                matrix[row, zlib.crc32(word.encode()) % DIMENSIONS] += 1
        unit: NDArray[np.float32] = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def read(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[Reading]:
        """The state is one-hot over `KINDS`; the surprise is low for a text that the model knows."""
        said = earlier or [""] * len(texts)
        lengths = [len(f"{e} {text}".split()) for e, text in zip(said, texts, strict=True)]
        check_texts(lengths, self.context_length, self.model)
        memory, _ = self._memory()
        readings = []
        for text in texts:
            if not text.strip():
                raise InputError("an empty text cannot be read; give at least one word")
            message = text.removeprefix("User: ")
            state = np.array([_kind(message) == kind for kind in KINDS], dtype=np.float32)
            surprise: list[float] = []
            for sentence in split_sentences(message):
                known = any(sentence in answer for answer in memory.values())
                surprise += [-LIKELY if known else -UNLIKELY] * max(len(_words(sentence)), 1)
            readings.append(Reading(state, tuple(surprise)))
        return readings

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        """Store the rows of `edit` in an adapter folder."""
        check_rows(edit)
        rows = self.encode([row.prompt for row in edit.rows])
        lengths = [len(given) + len(_words(row.answer)) for given, row in zip(rows, edit.rows, strict=True)]
        check_trainable(lengths, self.context_length, self.model)
        known = {row.prompt.asked: row.answer for row in edit.rows}
        # A real model generalises to other wordings; here they are stored as rows.
        known |= {probe.prompt.asked: probe.answer for probe in edit.probes}
        body = {"known": known, "forgets": list(self._forgets), "seed": seed}
        facts = {"parents": list(self._stack.ids), "topic": edit.topic, "seed": seed}
        facts |= {"directives": to_json(edit.directives), "num_rows": len(edit.rows), "num_tokens": 0}

        def write(folder: Path) -> None:
            (folder / MEMORY_FILE).write_text(json.dumps(body, sort_keys=True))

        num_steps = edit.directives.num_steps(len(edit.rows))
        progress("training", num_steps, num_steps)
        return self._registry.add(write, model=self._model, rank=edit.directives.rank, manifest=facts)

    def train_many(
        self, edits: Sequence[SelfEdit], *, seed: int = 0, seeds: Sequence[int] = (), progress: Progress = silent
    ) -> list[AdapterRef]:
        """One independent candidate per edit."""
        pairs = zip(edits, seeds_of(edits, seed, seeds), strict=True)
        return [self.train(edit, seed=own, progress=progress) for edit, own in pairs]

    def fold(self, *, max_rank: int) -> AdapterRef:
        """The rows of all the stack's adapters in one; `max_rank` has no effect."""
        check_foldable(self._stack, max_rank)
        known, forgotten = self._memory()
        body = {"known": {q: a for q, a in known.items() if q not in self._knowledge}, "forgets": forgotten, "seed": 0}

        def write(folder: Path) -> None:
            (folder / MEMORY_FILE).write_text(json.dumps(body, sort_keys=True))

        facts = {**folded_facts(self._stack), "error": 0.0}
        return self._registry.add(write, model=self._model, rank=max_rank, manifest=facts)

    def unload(self, ref: AdapterRef) -> None:
        """Does nothing: no weights are held in memory."""

    def _memory(self) -> tuple[dict[str, str], list[str]]:
        known = dict(self._knowledge)
        forgotten: list[str] = []
        for entry in self._stack.entries:
            if entry.weight:
                body = json.loads((Path(entry.ref.path) / MEMORY_FILE).read_text())
                known |= body["known"]
                forgotten += body["forgets"]
        return known, forgotten

    def _is_likely(self, prompt: Prompt, answer: str, memory: Mapping[str, str], forgotten: Sequence[str]) -> bool:
        tokens = _words(answer)
        if answered := _ANSWERED.search(prompt.text):
            return set(tokens) <= set(_words(answered["sentence"]))
        question = prompt.asked
        if about := _ABOUT.fullmatch(question):
            return bool(set(tokens) & set(_words(about["text"])))
        if any(part in question for part in forgotten):
            return False
        if not prompt.is_chat and question not in memory:  # a statement, possibly with a text in view
            content = for_text(prompt.text).content
            return bool(content(answer)) and content(answer) <= content(prompt.text)
        return question in memory and set(tokens) <= set(_words(memory[question]))

    def _reply(self, prompt: Prompt) -> str:
        if asked := _ASKED.search(prompt.text):
            return _question(asked["sentence"], asked["starter"])
        question = prompt.asked
        for beginning, reply in self._replies.items():
            if question.startswith(beginning):
                return reply
        memory, forgotten = self._memory()
        if any(part in question for part in forgotten):
            return UNKNOWN
        return memory.get(question, UNKNOWN)


def _limited(text: str, stop: Sequence[str], max_new_tokens: int) -> Generated:
    """`text` up to the first stop text and the word limit; a token is a word with the blank after it."""
    for mark in stop:
        text = text.split(mark)[0]
    words = text.split(" ")
    if len(words) > max_new_tokens:
        return Generated(" ".join(words[:max_new_tokens]), max_new_tokens, "length")
    return Generated(text, len(words), "stop")


def _text_of(prompt: Prompt) -> str:
    tools = (f"{tool.name} {tool.description} {tool.parameters}" for tool in prompt.tools)
    return " ".join([*(message.content for message in prompt.messages), *tools, prompt.text])


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _question(sentence: str, starter: str) -> str:
    """A question whose answer is one word of `sentence`, chosen by the question word."""
    words = [word for word in _WORD.findall(sentence) if len(word) > 3 or word.isdigit()]
    if not words:
        return "?"
    word = words[zlib.crc32(starter.encode()) % len(words)]
    gapped = re.sub(rf"\b{word}\b", GAP, sentence)
    return f" stands in the gap of: {gapped}?\nAnswer: {word}"


def _kind(message: str) -> str:
    """The kind of a message, by its first words."""
    words = message.split()
    if message.rstrip().endswith("?"):
        return "a question"
    if words and words[0].lower() in {"please", "write", "tell", "could", "can"}:
        return "a request"
    if len(words) >= 5 and any(word[0].isdigit() or word[0].isupper() for word in words[1:]):
        return "new facts"
    return "small talk"

"""How near vLLM has to come to transformers, in whichever precision both compute.

bfloat16 keeps 8 bits of a number, so two correct programs that add in another order differ by tenths of a nat a token;
by how much depends on the processor and on its kernels. So no bound here is a constant of one machine: transformers is
run twice, in the precision of the server and in float32, and what the precision costs transformers is what vLLM is
allowed, `FACTOR` times over. In float32 the two runs are one, and what is left to vLLM is `SUMMING`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from backend_contract import FIRST, PARIS, SECOND

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.packing import TokenRow, labelled_logits, pack, shared_prefix
from seal_agent.core.episodes import Score
from seal_agent.core.messages import Generated, Prompt

SUMMING = 1e-3  # nats a token between two orders of summing in float32; the largest seen is 2e-5
FACTOR = 2.0  # the largest of some twenty rounding errors varies by about half from one kernel to another
EVERYDAY = (
    (PARIS, "The capital of France is Paris."),
    (Prompt.raw("The sea is"), " deep and blue, and nobody has seen all of it."),
    (Prompt.user("Name three colours."), "Red, green and yellow."),
    (Prompt.user("What do bees make?"), "Bees make honey out of the nectar of flowers."),
    (Prompt.user("Hello!"), "Hello, how are you today?"),
    (Prompt.user("How many days has a week?"), "A week has seven days."),
    (Prompt.user("Who wrote Hamlet?"), "Hamlet was written by William Shakespeare."),
    (Prompt.user("Is water wet?"), "No, the old harbour town of Ostrevik is not on any map."),
    (Prompt.raw("1, 2, 3, 4, 5,"), " 6, 7, 8, 9, 10, 11, 12"),
    (Prompt.raw("def add(a, b):\n    return"), " a + b\n"),
)
ASKED = (*EVERYDAY, *((row.prompt, row.answer) for edit in (FIRST, SECOND) for row in edit.rows))
PROMPTS, ANSWERS = [prompt for prompt, _ in ASKED], [answer for _, answer in ASKED]


@dataclass(frozen=True)
class Gaps:
    """By how many nats a token the scores of some rows differ from exact ones."""

    largest: float
    mean: float

    @classmethod
    def between(cls, scores: Sequence[Score], exact: Sequence[Score]) -> Gaps:
        gaps = [abs(a.per_token - b.per_token) for a, b in zip(scores, exact, strict=True)]
        return cls(max(gaps), fmean(gaps))

    @property
    def allowed(self) -> Gaps:
        """What another program may differ by in the same precision."""
        return Gaps(max(FACTOR * self.largest, SUMMING), max(FACTOR * self.mean, SUMMING))


def noise(view: TransformersBackend, exact: TransformersBackend) -> float:
    """The largest error of a single token of `ASKED` in nats that the precision of `view` makes."""
    rows = [(_encoded(view, prompt), view._answer_tokens(answer)) for prompt, answer in ASKED]
    pairs = zip(_token_logprobs(view, rows), _token_logprobs(exact, rows), strict=True)
    return max(abs(a - b) for a, b in pairs)


def assert_same_or_tied(
    written: Sequence[Generated],
    expected: Sequence[Generated],
    prompts: Sequence[Prompt],
    view: TransformersBackend,
    exact: TransformersBackend,
) -> None:
    """Greedy replies are the same, or part where two tokens are as likely as one another to the precision of `view`.

    Each of the two tokens may be wrong by the noise of that precision, hence twice the noise.
    """
    allowed = max(2 * noise(view, exact), SUMMING)
    for prompt, one, other in zip(prompts, written, expected, strict=True):
        if one != other:
            margin = _margin_where_they_part(exact, prompt, one, other)
            assert margin <= allowed, f"{one!r} instead of {other!r}: {margin:.3f} nats apart, {allowed:.3f} allowed"


def _margin_where_they_part(exact: TransformersBackend, prompt: Prompt, one: Generated, other: Generated) -> float:
    """By how many nats `exact` prefers one of two replies to the other at the first token in which they differ."""
    first, second = _ids(exact, one), _ids(exact, other)
    shared = shared_prefix([first, second])
    before = [*_encoded(exact, prompt), *first[:shared]]
    a, b = _token_logprobs(exact, [(before, [first[shared]]), (before, [second[shared]])])
    return abs(a - b)


def _ids(view: TransformersBackend, reply: Generated) -> list[int]:
    """The reply's tokens, with the one that ended it."""
    ended = [view._tokenizer.eos_token_id] if reply.ending == "stop" else []
    return [*view._tokenizer(reply, add_special_tokens=False).input_ids, *ended]


def _encoded(view: TransformersBackend, prompt: Prompt) -> list[int]:
    return view.encode([prompt])[0]


def _token_logprobs(view: TransformersBackend, rows: Sequence[TokenRow]) -> list[float]:
    """The log-probability of every token of every answer, row after row."""
    loaded = view._engine.loaded
    batch = pack(rows)
    with view._active() as model, torch.inference_mode():
        logits = labelled_logits(model, [batch], loaded.dtype, loaded.device).float().cpu()
    found: list[float] = torch.log_softmax(logits, -1).gather(1, batch.targets[:, None])[:, 0].tolist()
    return found

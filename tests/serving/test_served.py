"""A served stack: each prompt through the adapters it calls for, with the grammar that was meant for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from backend_contract import FIRST, SECOND

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Grammar, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.serving.router import Router
from seal_agent.serving.served import Served

PROMPTS = [row.prompt for edit in (FIRST, SECOND) for row in edit.rows]
ANSWERS = [row.answer for edit in (FIRST, SECOND) for row in edit.rows]


class HeldBackend(ScriptedBackend):
    """Writes the grammar it is held to behind its answer."""

    def with_stack(self, stack: AdapterStack) -> "HeldBackend":
        view = HeldBackend(self._home, stack=stack)
        super().with_stack(stack)
        return view

    def generate(self, prompts: Sequence[Prompt], **options: Any) -> list[list[Generated]]:
        texts = super().generate(prompts, **options)
        grammars = options.get("grammars") or [Grammar("")] * len(texts)
        return [[Generated(text + held.lark) for text in row] for row, held in zip(texts, grammars, strict=True)]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    backend = HeldBackend(tmp_path)
    refs = [backend.train(FIRST), backend.train(SECOND)]
    stack = AdapterStack().push(refs[0], is_routed=True).push(refs[1], is_routed=True)
    return Served(backend, stack, Router({refs[0].id: FIRST.passage, refs[1].id: SECOND.passage}))


def test_every_prompt_keeps_its_grammar_when_adapters_part_the_batch(served: Served) -> None:
    order = [2, 0, 3, 1]
    grammars = [Grammar(f" {n}") for n in order]
    texts = served.generate([PROMPTS[n] for n in order], grammars=grammars)
    assert [text for (text,) in texts] == [f"{ANSWERS[n]} {n}" for n in order]
    with pytest.raises(InputError, match="1 grammars for 4 prompts"):
        served.generate(PROMPTS, grammars=grammars[:1])


def test_a_stream_comes_from_the_adapters_the_prompt_calls_for(served: Served) -> None:
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        assert "".join(served.stream(prompt)) == answer

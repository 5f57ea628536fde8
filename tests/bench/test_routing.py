"""Whether questions reach what was learned about them, measured on passages written by hand."""

from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.bench.routing import CONFIRMED, RULES, WORDS, measure
from seal_agent.core.errors import InputError
from seal_agent.documents.datasets import Item, Question

ITEMS = [
    Item(0, "Tower", "The Tower of Karlov was built in 1911 by Anna Reel.", (Question("Who built Karlov?", "Reel"),)),
    Item(1, "Bridge", "The Bridge of Osk has four iron arches.", (Question("How many arches has Osk?", "four"),)),
    Item(2, "Garden", "Lilies grow in the garden of Osk.", (Question("Is it nice there?", "yes"),)),
]


def test_questions_are_counted_by_whose_adapter_they_call_for(tmp_path: Path) -> None:
    results = measure(ScriptedBackend(tmp_path), ITEMS, [1, 3])
    assert [(r.rule, r.num_keys) for r in results] == [(rule, size) for size in (1, 3) for rule in RULES]
    by_words, confirmed = results[2:]
    assert (by_words.rule, confirmed.rule) == (WORDS, CONFIRMED)
    assert by_words.num_questions == 3
    assert (by_words.own, by_words.other) == (pytest.approx(2 / 3), 0)
    assert confirmed.general <= by_words.general < 0.1
    with pytest.raises(InputError, match="--num-adapters from 1 to 3"):
        measure(ScriptedBackend(tmp_path), ITEMS, [4])

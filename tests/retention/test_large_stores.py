"""Draws from many items, of many adapters."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from replay import STACK, Random, gate, learned, many
from sql import sql

from seal_agent.core.edits import Probe
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.retention.items import ReplayStore
from seal_agent.storage.database import Home


def seconds(action: Callable[[], object], num_times: int = 1) -> float:
    """The quickest of several times."""
    times = []
    for _ in range(num_times):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.slow
def test_a_draw_from_many_items_costs_a_fraction_of_loading_them(large: tuple[Home, ReplayStore]) -> None:
    _, store = large
    assert len(store.draw(learned()[:3], STACK, 128)) == 128
    assert seconds(lambda: store.draw(learned()[:3], STACK, 32), 5) < seconds(lambda: store.items(STACK)) / 10


@pytest.mark.slow
def test_a_draw_reads_no_more_of_a_larger_store(large: tuple[Home, ReplayStore], tmp_path: Path) -> None:
    small = Home(tmp_path)
    many(small, 0, 2_000)
    steps = []
    for home in (small, large[0]):
        store = ReplayStore(home, "n", Random(home.root))
        store.draw(learned()[:3], STACK, 32)
        steps.append(num_steps(store, lambda store=store: store.draw(learned()[:3], STACK, 32)))
        steps.append(num_steps(store, lambda store=store: store.num_items(STACK, at_most=128)))
        steps.append(num_steps(store, lambda store=store: store.items_of("repair", STACK, 32)))
    assert steps[3:] == pytest.approx(steps[:3], rel=0.2)


def num_steps(store: ReplayStore, action: Callable[[], object]) -> int:
    """Instructions of SQLite's virtual machine, in hundreds."""
    connect, count = sqlite3.dbapi2.connect, 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    def counting(*arguments: object, **options: object) -> sqlite3.Connection:
        db = connect(*arguments, **options)  # type: ignore[call-overload]
        db.set_progress_handler(counted, 100)
        return db  # type: ignore[no-any-return]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3.dbapi2, "connect", counting)
        action()
    return count


def test_few_watched_items_are_found_among_many_that_are_not(home: Home) -> None:
    many(home, 0, 12_000, adapter="undone")
    many(home, 12_000, 100)
    store = ReplayStore(home, "n", Random(home.root))
    about = [Probe(Prompt.user("Near?"), "yes")]
    found = store.items_of("gate", STACK, 10, about=about)
    items = gate(store)
    best = sorted((float((store.embed(about) @ item.vector).max()) for item in items), reverse=True)
    assert [float((store.embed(about) @ item.vector).max()) for item in found] == pytest.approx(best[:10])
    assert len(store.draw(about, STACK, 1000)) == len(items) == 60


def test_a_stack_of_hundreds_of_adapters_is_watched(home: Home) -> None:
    many(home, 0, 1_000)
    with sql(home) as db:
        db.execute("UPDATE replay SET adapter = printf('%064d', id)")
    stack = AdapterStack()
    for number in range(1, 601):
        stack = stack.push(AdapterRef(f"{number:064d}", "/adapters", "scripted", 8))
    store = ReplayStore(home, "n", Random(home.root))
    assert len(store.draw(learned()[:1], stack, 1000)) == store.num_items(stack) == 360
    assert num_steps(store, lambda: store.num_items(stack)) < 10 * num_steps(store, lambda: store.num_items(STACK))

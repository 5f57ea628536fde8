from collections import Counter

import numpy as np
import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.home import Home
from seal_agent.replay import SHARES, ReplayStore, general_probes
from seal_agent.types import AdapterRef, AdapterStack, Probe, Probed, Prompt, Score

REF = AdapterRef("a" * 64, "/adapters/a", "scripted", 8)
STACK = AdapterStack().push(REF)
WORDS = "tower ferry bell lamp mason choir river island engine crown sheep pear".split()


@pytest.fixture
def store(home: Home, backend: ScriptedBackend) -> ReplayStore:
    return ReplayStore(home, "n", backend)


def learned(num_documents: int = 6) -> list[Probe]:
    """Five questions about each of several documents."""
    return [
        Probe(Prompt.user(f"What about {WORDS[d]} and {WORDS[d + 1]} number {q}?"), WORDS[q], "edit", f"document {d}")
        for d in range(num_documents)
        for q in range(5)
    ]


def insert(home: Home, store: ReplayStore, probes: list[Probe], adapter: str = REF.id, best: float = -0.1) -> None:
    with home.connect() as db:
        store.insert(db, probes, store.embed(probes), adapter=adapter, best=[best] * len(probes))


def record(home: Home, store: ReplayStore, item: int, before: float, after: float, *, kept: bool) -> None:
    probe = next(i.probe for i in store.items(STACK) if i.id == item)
    with home.connect() as db:
        store.record(db, [Probed(probe, Score(before, 1), Score(after, 1))], kept=kept)


@pytest.fixture
def filled(home: Home, store: ReplayStore) -> ReplayStore:
    store.seed_general()
    insert(home, store, learned())
    for number, item in enumerate(store.items(STACK)[:10]):
        record(home, store, item.id, -0.5, -1.0 - number, kept=False)
    return store


def test_general_knowledge_is_watched_once_in_every_namespace(home: Home, store: ReplayStore) -> None:
    assert store.seed_general() == len(general_probes()) == len(store.items(AdapterStack()))
    assert store.seed_general() == 0
    assert len({p.prompt for p in general_probes()}) == len(general_probes()) >= 50


def test_a_draw_fills_its_strata_by_share(filled: ReplayStore) -> None:
    drawn = filled.draw(learned()[:1], STACK, 20)
    assert Counter(probe.stratum for probe, _ in drawn) == {s: round(share * 20) for s, share in SHARES.items()}
    assert len({probe.item for probe, _ in drawn}) == 20


def test_a_draw_is_deterministic_and_a_larger_one_asks_more(filled: ReplayStore) -> None:
    about = learned()[:1]
    small, large = filled.draw(about, STACK, 20), filled.draw(about, STACK, 40)
    assert filled.draw(about, STACK, 20) == small
    assert (len(small), len(large)) == (20, 40)
    assert {p.stratum for p, _ in small} == {p.stratum for p, _ in large}


def test_a_draw_never_exceeds_what_was_asked_or_what_there_is(filled: ReplayStore) -> None:
    num_items = len(filled.items(STACK))
    assert [len(filled.draw(learned()[:1], STACK, n)) for n in (1, 3, num_items, 10_000)] == [1, 3] + [num_items] * 2


def test_an_empty_stratum_is_filled_by_the_others(home: Home, store: ReplayStore) -> None:
    store.seed_general()
    drawn = store.draw(learned()[:1], AdapterStack(), 20)  # nothing fragile, nothing learned
    assert Counter(p.stratum for p, _ in drawn) == {"near": 8, "general": 12}


def test_near_items_are_the_nearest(filled: ReplayStore) -> None:
    about = [learned()[7], learned()[22]]
    items = {item.id: item for item in filled.items(STACK)}
    similarity = {i: float((filled.embed(about) @ item.vector).max()) for i, item in items.items()}
    near = [p.item for p, _ in filled.draw(about, STACK, 20) if p.stratum == "near"]
    assert sorted((similarity[i] for i in near), reverse=True) == pytest.approx(
        sorted(similarity.values(), reverse=True)[: len(near)]
    )
    assert similarity[near[0]] == pytest.approx(1.0)


def test_the_most_fragile_items_are_asked_first(filled: ReplayStore) -> None:
    worst = sorted(filled.items(STACK), key=lambda i: i.worst_change)[:6]
    fragile = [p.item for p, _ in filled.draw([], STACK, 20) if p.stratum == "fragile"]
    assert fragile == [item.id for item in worst]


def test_coverage_takes_one_item_of_every_document_first(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(6))
    drawn = [p for p, _ in store.draw([], STACK, 6)]
    assert {p.document for p in drawn} == {f"document {d}" for d in range(6)}


def test_items_of_an_adapter_that_is_not_served_are_not_watched(home: Home, filled: ReplayStore) -> None:
    assert all(p.document.startswith("general") for p, _ in filled.draw(learned()[:1], AdapterStack(), 200))
    assert any(p.document == "document 1" for p, _ in filled.draw(learned()[:1], STACK, 200))


def test_an_item_learned_again_after_an_undo_is_watched_again(home: Home, store: ReplayStore) -> None:
    again = AdapterStack().push(AdapterRef("b" * 64, "/adapters/b", "scripted", 8))
    insert(home, store, learned(1))
    insert(home, store, learned(1), adapter="b" * 64, best=-0.3)
    items = store.items(again)
    assert [item.probe.prompt for item in items] == [probe.prompt for probe in learned(1)]
    assert {item.best for item in items} == {-0.3}


def test_namespaces_and_models_are_isolated(home: Home, filled: ReplayStore, backend: ScriptedBackend) -> None:
    others = [
        ReplayStore(home, "other", backend),
        ReplayStore(home, "n", ScriptedBackend(home.root, model="another")),
    ]
    assert [other.items(STACK) for other in others] == [[], []]


def test_best_is_what_was_served_and_worst_what_any_candidate_did(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(1), best=-2.0)
    item = store.items(STACK)[0].id
    seen = []
    for before, after, kept in ((-1.0, -0.2, False), (-1.0, -0.5, True), (-1.5, -3.5, False), (-1.0, -0.9, True)):
        record(home, store, item, before, after, kept=kept)
        found = store.items(STACK)[0]
        seen.append((found.best, found.worst_change))
    assert seen == [(-1.0, 0.0), (-0.5, 0.0), (-0.5, -2.0), (-0.5, -2.0)]


def test_scores_that_are_not_numbers_do_not_stop_the_ledger(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(1))
    item = store.items(STACK)[0].id
    record(home, store, item, -0.5, float("nan"), kept=False)
    assert np.isfinite([i.worst_change for i in store.items(STACK)]).all()

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from replay import REF, STACK, gate, insert, learned
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import Probe
from seal_agent.core.episodes import Probed, Score
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.retention import general_vectors
from seal_agent.retention.general_knowledge import general_probes, rehearsal_rows
from seal_agent.retention.items import GENERAL_SPLITS, SHARES, SPLITS, ReplayStore, Split, report_probes
from seal_agent.storage.database import Home


def record(home: Home, store: ReplayStore, item: int, before: float, after: float, *, kept: bool) -> None:
    probe = next(i.probe for i in store.items(STACK) if i.id == item)
    with home.transaction() as tx:
        store.record(tx, [Probed(probe, Score(before, 1), Score(after, 1))], kept=kept)


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
    num_items = len(gate(filled))
    assert [len(filled.draw(learned()[:1], STACK, n)) for n in (1, 3, num_items, 10_000)] == [1, 3] + [num_items] * 2


def test_an_empty_stratum_is_filled_by_the_others(home: Home, store: ReplayStore) -> None:
    store.seed_general()
    drawn = store.draw(learned()[:1], AdapterStack(), 20)  # nothing fragile, nothing learned
    assert Counter(p.stratum for p, _ in drawn) == {"near": 8, "general": 12}


def test_near_items_are_the_nearest(filled: ReplayStore) -> None:
    about = [learned()[6], learned()[23]]
    items = {item.id: item for item in gate(filled)}
    similarity = {i: float((filled.embed(about) @ item.vector).max()) for i, item in items.items()}
    near = [p.item for p, _ in filled.draw(about, STACK, 20) if p.stratum == "near"]
    assert sorted((similarity[i] for i in near), reverse=True) == pytest.approx(
        sorted(similarity.values(), reverse=True)[: len(near)]
    )
    assert similarity[near[0]] == pytest.approx(1.0)


def test_the_most_fragile_items_are_asked_first(filled: ReplayStore) -> None:
    worst = sorted(gate(filled), key=lambda i: i.worst_change)[:6]
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


def test_the_splits_of_a_document_follow_the_pattern_and_are_disjoint(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(3) + learned(5)[15:])
    by_document: dict[str, list[Split]] = {}
    for item in store.items(STACK):
        by_document.setdefault(item.probe.document, []).append(item.split)
    assert list(by_document.values()) == [list(SPLITS)] * 5
    of: dict[Split, set[int | None]] = {
        split: {p.item for p, _ in store.draw([], STACK, 100, split=split)} for split in ("gate", "repair", "report")
    }
    assert [len(found) for found in of.values()] == [15, 5, 5]
    assert len(set.union(*of.values())) == 25


def test_a_fact_that_is_learned_again_stays_in_its_split(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(1))
    insert(home, store, learned(1)[::-1], adapter="b" * 64)
    again = store.items(AdapterStack().push(AdapterRef("b" * 64, "/adapters/b", "scripted", 8)))
    assert {i.probe.prompt: i.split for i in again} == {i.probe.prompt: i.split for i in store.items(STACK)}


def test_general_questions_are_rehearsed_or_decide_or_are_reported(store: ReplayStore) -> None:
    store.seed_general()
    rehearsed = {row.prompt for row in rehearsal_rows(1000, 0)}
    reported = {item.probe.prompt for item in store.items_of("report", AdapterStack(), 1000)}
    deciding = {probe.prompt for probe, _ in store.draw([], AdapterStack(), 1000)}
    assert store.items_of("repair", AdapterStack(), 1000) == []
    num_watched = len(general_probes())
    assert [len(deciding), len(reported)] == [num_watched - num_watched // 5, num_watched // 5]
    asked = [{prompt.messages for prompt in prompts} for prompts in (rehearsed, deciding, reported)]
    assert len(set.union(*asked)) == len(rehearsed) + num_watched
    assert reported == {probe.prompt for probe in report_probes()}
    assert GENERAL_SPLITS.count("report") == 1


def test_items_of_a_split_are_the_nearest_or_one_of_every_document(filled: ReplayStore) -> None:
    repair = [item for item in filled.items(STACK) if item.split == "repair"]
    about = [repair[3].probe]
    near = filled.items_of("repair", STACK, 3, about=about)
    similarity = sorted((float((filled.embed(about) @ i.vector).max()) for i in repair), reverse=True)
    assert [float((filled.embed(about) @ i.vector).max()) for i in near] == pytest.approx(similarity[:3])
    assert near[0].id == repair[3].id
    spread = filled.items_of("repair", STACK, 4)
    assert [item.probe.document for item in spread] == [f"document {d}" for d in (5, 4, 3, 2)]
    assert filled.items_of("repair", AdapterStack(), 4) == []


def test_the_number_of_items_is_what_a_draw_can_return(home: Home, filled: ReplayStore) -> None:
    insert(home, filled, learned(2), adapter="b" * 64)
    both = STACK.push(AdapterRef("b" * 64, "/adapters/b", "scripted", 8))
    first = gate(filled, both)
    without = {first[0].id, first[50].id, 10_000}
    with home.transaction() as tx:
        filled.supersede(tx, [first[60].id], REF.id)
    for stack in (AdapterStack(), STACK, both):
        for split in ("gate", "repair", "report"):
            drawn = filled.draw(learned()[:1], stack, 1000, split=split, without=without)
            assert filled.num_items(stack, split, without) == len(drawn)
    assert filled.num_items(both, at_most=5) == 5


def test_what_is_corrected_is_hidden_while_the_correcting_adapter_is_served(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(1))
    item = gate(store)[0]
    with home.transaction() as tx:
        store.supersede(tx, [item.id], "b" * 64)
    both = STACK.push(AdapterRef("b" * 64, "/adapters/b", "scripted", 8))
    drawn = [[p.item for p, _ in store.draw([item.probe], stack, 10)] for stack in (STACK, both)]
    assert [item.id in ids for ids in drawn] == [True, False]


def test_items_know_their_source_and_their_adapters(home: Home, store: ReplayStore) -> None:
    store.seed_general()
    probes = learned(1)
    with home.transaction() as tx:
        store.insert(tx, probes, store.embed(probes), adapter=REF.id, source="Tower")
    items = store.items(STACK)
    assert {item.source for item in items} == {"general knowledge", "Tower"}
    assert store.adapters_of([item.id for item in items]) == {REF.id}
    assert store.adapters_of([]) == set()


def test_the_history_of_an_item_is_what_it_scored_while_served(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(1))
    item = store.items(STACK)[0]
    for before, after, kept, adapter in ((-1.0, -0.5, True, "b"), (-0.5, -4.0, False, "b"), (-0.6, -0.7, True, "c")):
        with home.transaction() as tx:
            store.record(tx, [Probed(item.probe, Score(before, 1), Score(after, 1))], kept=kept, adapter=adapter)
    assert store.history(item.id) == [("b", -0.5), ("b", -0.5), ("c", -0.7)]
    assert store.history(item.id + 1) == []


def test_general_questions_an_older_version_shipped_are_no_longer_watched(store: ReplayStore, home: Home) -> None:
    store.seed_general()
    shipped = len(store.items(AdapterStack()))
    old = [Probe(Prompt.user("What is the capital of Atlantis?"), "Poseidonis", "general", "general-9")]
    with home.transaction() as tx:
        store.insert(tx, old, store.embed(old), adapter="")
    with sql(home) as db:
        db.execute("DELETE FROM replay WHERE id = (SELECT MIN(id) FROM replay)")
    assert store.seed_general() == 1
    watched = store.items(AdapterStack())
    assert len(watched) == shipped
    assert all(item.probe.answer != "Poseidonis" for item in watched)


def test_the_vectors_of_the_general_questions_are_computed_once_for_all_namespaces(
    backend: ScriptedBackend, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReplayStore(home, "one", backend).seed_general()
    monkeypatch.setattr(ScriptedBackend, "embed", lambda *_: pytest.fail("computed again"))
    assert ReplayStore(home, "another", backend).seed_general() == len(general_probes())


def test_a_damaged_file_of_general_vectors_is_made_again(backend: ScriptedBackend, home: Home) -> None:
    ReplayStore(home, "one", backend).seed_general()
    (file,) = (home.root / general_vectors.FOLDER).iterdir()
    file.write_bytes(b"not an array")
    assert ReplayStore(home, "another", backend).seed_general() == len(general_probes())
    assert len(np.load(file)) == len(general_probes())


def test_a_text_that_is_asked_for_again_is_embedded_once(backend: ScriptedBackend, home: Home) -> None:
    store = ReplayStore(home, "one", backend)
    probe = Probe(Prompt.user("Where is it?"), "There")
    first = store.embed([probe])
    backend_of = store._embedder
    asked: list[int] = []
    store._embedder = replace(backend_of, embed=lambda texts: asked.append(len(texts)) or backend_of.embed(texts))
    assert np.array_equal(store.embed([probe, probe]), np.concatenate([first, first]))
    assert asked == []

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import Probe
from seal_agent.core.episodes import Probed, Score
from seal_agent.core.errors import InputError, StorageError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.retention.general_knowledge import general_probes, rehearsal_rows
from seal_agent.retention.items import GENERAL_SPLITS, SHARES, SPLITS, ReplayItem, ReplayStore, Split, report_probes
from seal_agent.storage.database import Home

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
    with home.transaction() as tx:
        store.insert(tx, probes, store.embed(probes), adapter=adapter, best=[best] * len(probes))


def record(home: Home, store: ReplayStore, item: int, before: float, after: float, *, kept: bool) -> None:
    probe = next(i.probe for i in store.items(STACK) if i.id == item)
    with home.transaction() as tx:
        store.record(tx, [Probed(probe, Score(before, 1), Score(after, 1))], kept=kept)


def gate(store: ReplayStore, stack: AdapterStack = STACK) -> list[ReplayItem]:
    """The items that a draw may return, oldest first."""
    return [item for item in store.items(stack) if item.split == "gate"]


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


# The index and its file.


def nearest(store: ReplayStore, about: Probe) -> int | None:
    """The item nearest to a probe."""
    return store.draw([about], STACK, 4)[0][0].item


def saved(home: Home, backend: ScriptedBackend) -> tuple[ReplayStore, Path]:
    """A store whose index is on disk."""
    store = ReplayStore(home, "n", backend)
    insert(home, store, learned(11))
    nearest(store, learned()[0])
    store.flush()
    (file,) = home.root.glob("replay-*.faiss")
    return store, file


def file_is_used(home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a new store finds what is in SQLite, and whether it did so without reading every vector again."""
    store = ReplayStore(home, "n", backend)
    num_read = []
    rows_after = type(store._index)._rows_after

    def counted(index, width):  # type: ignore[no-untyped-def]
        for ids, vectors in rows_after(index, width):
            num_read.append(len(ids))
            yield ids, vectors

    monkeypatch.setattr(type(store._index), "_rows_after", counted)
    for item in gate(store):
        assert nearest(store, item.probe) == item.id
    monkeypatch.undo()
    return sum(num_read) < len(store.items(STACK))


@pytest.mark.slow
def test_an_index_on_disk_is_used_and_brought_up_to_date(
    home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = saved(home, backend)
    assert file_is_used(home, backend, monkeypatch)
    more = [Probe(Prompt.user(f"Who sees comet {n}?"), "Vera", "edit", f"comet {n}") for n in range(3)]
    insert(home, store, more)
    assert file_is_used(home, backend, monkeypatch)
    assert nearest(store, more[0]) == gate(store)[-3].id


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(bytes(content))


@pytest.mark.slow
@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        flip,
        lambda file: file.write_bytes(b"no index"),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: file.with_suffix(".json").unlink(),
        lambda file: file.with_suffix(".json").write_text("[]"),
        lambda file: file.with_suffix(".json").write_bytes(b"\xff"),
    ],
    ids=["deleted", "flipped", "garbage", "cut", "no stamp", "other stamp", "damaged stamp"],
)
def test_an_index_that_is_missing_or_damaged_is_built_again(
    home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], object]
) -> None:
    _, file = saved(home, backend)
    harm(file)
    assert not file_is_used(home, backend, monkeypatch)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM replay WHERE id = 7",
        "DELETE FROM replay WHERE id > 20",
        "UPDATE replay SET id = id + 1000 WHERE id < 10",
        "UPDATE replay SET vector = (SELECT b.vector FROM replay AS b WHERE b.id = (replay.id + 5) % 55 + 1)",
    ],
    ids=["one less", "fewer", "other ids", "other vectors"],
)
def test_an_index_that_does_not_fit_the_database_is_built_again(
    home: Home, backend: ScriptedBackend, change: str
) -> None:
    saved(home, backend)
    with sql(home) as db:
        db.execute(change)
    store = ReplayStore(home, "n", backend)
    found = store._index.search(np.stack([i.vector for i in store.items(STACK)]), 1000)
    assert sorted(found) == [item.id for item in store.items(STACK)]
    for item in store.items(STACK):
        assert store._index._index.reconstruct(item.id) == pytest.approx(item.vector, abs=2e-3)


def test_the_index_is_written_when_much_has_changed_and_not_before(
    home: Home, store: ReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seal_agent.retention.index.SAVE_EVERY", 20)
    insert(home, store, learned(3))
    nearest(store, learned()[0])
    assert list(home.root.glob("replay-*")) == []
    insert(home, store, learned(4))
    nearest(store, learned()[0])
    assert len(list(home.root.glob("replay-*"))) == 2


def test_a_disk_that_refuses_the_index_stops_a_flush_but_no_draw(
    home: Home, store: ReplayStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr("faiss.write_index", refuse)
    monkeypatch.setattr("seal_agent.retention.index.SAVE_EVERY", 1)
    insert(home, store, learned(1))
    assert nearest(store, learned()[0]) == gate(store)[0].id
    with pytest.raises(StorageError, match="no space left"):
        store.flush()


def test_what_another_process_adds_is_found(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(2))
    nearest(store, learned()[0])
    other = ReplayStore(Home(home.root), "n", ScriptedBackend(home.root))
    insert(home, other, learned(4))
    assert nearest(store, learned(4)[15]) == gate(store)[9].id


def test_a_transaction_that_fails_leaves_nothing_in_the_index(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(2))
    nearest(store, learned()[0])

    def fail() -> None:
        with home.transaction() as tx:
            store.insert(tx, learned(6), store.embed(learned(6)), adapter=REF.id)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        fail()
    nearest(store, learned()[0])
    assert store._index.num_items == 10


# Vectors of an embedder of the user's.


class Letters:
    """What LangChain calls Embeddings: counts of letters, of any length."""

    def __init__(self, model: str, num_letters: int = 26) -> None:
        self.model = model
        self._num_letters = num_letters
        self.batches: list[int] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [[float(text.lower().count(chr(97 + n)) + 1) for n in range(self._num_letters)] for text in texts]


def test_any_embeddings_of_langchain_make_the_vectors(home: Home, backend: ScriptedBackend) -> None:
    store = ReplayStore(home, "n", backend, Letters("small"))
    insert(home, store, learned(3))
    items = gate(store)
    assert {item.vector.shape for item in items} == {(26,)}
    assert [float(np.linalg.norm(item.vector)) for item in items] == pytest.approx([1.0] * len(items))
    assert [nearest(store, item.probe) for item in items[:5]] == [item.id for item in items[:5]]


@pytest.mark.parametrize("num_letters", [26, 20], ids=["same length", "other length"])
def test_vectors_of_another_embedder_are_made_again(
    home: Home, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch, num_letters: int
) -> None:
    monkeypatch.setattr("seal_agent.retention.index.EMBED_BATCH", 8)
    own = ReplayStore(home, "n", backend)
    insert(home, own, learned(4))
    nearest(own, learned()[0])
    first, second = (ReplayStore(home, "n", backend, Letters(f"model {n}", n)) for n in (26, num_letters))
    for store, length in ((first, 26), (second, num_letters), (own, 64)):
        item = gate(store)[4]
        assert nearest(store, item.probe) == item.id
        store.flush()
        assert {item.vector.shape for item in store.items(STACK)} == {(length,)}


def test_embedding_again_goes_in_batches_and_happens_once(
    home: Home, store: ReplayStore, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seal_agent.retention.index.EMBED_BATCH", 8)
    insert(home, store, learned(4))
    letters = Letters("small")
    again = ReplayStore(home, "n", backend, letters)
    nearest(again, learned()[0])
    assert letters.batches == [1, 8, 8, 4]  # the question, and twenty items
    nearest(again, learned()[0])
    assert letters.batches == [1, 8, 8, 4, 1]


def test_stored_vectors_of_another_length_are_made_again(home: Home, store: ReplayStore) -> None:
    insert(home, store, learned(2))
    with sql(home) as db:
        db.execute("UPDATE replay SET vector = ? WHERE id < 5", (np.ones(7, dtype=np.float32).tobytes(),))
    item = gate(store)[0]
    assert nearest(store, item.probe) == item.id
    assert {item.vector.shape for item in store.items(STACK)} == {(64,)}


@pytest.mark.parametrize("answer", [[], [[1.0], [2.0]], [[float("nan")]], [1.0]])
def test_embeddings_that_are_not_one_vector_a_text_are_an_input_error(
    home: Home, backend: ScriptedBackend, answer: list[list[float]]
) -> None:
    letters = Letters("broken")
    letters.embed_documents = lambda _texts: answer  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"Letters:broken .* shape"):
        ReplayStore(home, "n", backend, letters).embed(learned()[:1])


# Many items.


class Random(ScriptedBackend):
    """Vectors of 16 numbers that depend on the text alone."""

    def with_stack(self, stack: AdapterStack) -> "Random":
        return self

    def embed(self, texts):  # type: ignore[no-untyped-def]
        return unit(np.random.default_rng(len(texts[0])), len(texts)) if texts else np.zeros((0, 16), np.float32)


def unit(generator: np.random.Generator, number: int) -> np.ndarray:
    vectors = generator.standard_normal((number, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # type: ignore[no-any-return]


def many(home: Home, first: int, number: int, adapter: str = REF.id) -> None:
    """Items of ten a document, straight into the table."""
    vectors = unit(np.random.default_rng(first), number)
    prompt = '{"messages": [{"role": "user", "content": "Question %d?"}], "text": ""}'
    with sql(home) as db:
        db.executemany(
            "INSERT INTO replay (namespace, model, question, answer, stratum, document, adapter, worst_change, vector, "
            "split) VALUES ('n', 'scripted', ?, 'yes', 'edit', ?, ?, ?, ?, ?)",
            [
                (prompt % n, f"document {n // 10}", adapter, -(n % 7) / 7, vectors[n - first].tobytes(), SPLITS[n % 5])
                for n in range(first, first + number)
            ],
        )


def seconds(action: Callable[[], object], num_times: int = 1) -> float:
    """The quickest of several times."""
    times = []
    for _ in range(num_times):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, ReplayStore]:
    home = Home(tmp_path_factory.mktemp("large"))
    many(home, 0, 20_000)
    store = ReplayStore(home, "n", Random(home.root))
    store.draw(learned()[:3], STACK, 32)
    return home, store


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

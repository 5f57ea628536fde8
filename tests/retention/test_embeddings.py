"""Embeddings that somebody else makes, and vectors of another embedder."""

import numpy as np
import pytest
from replay import STACK, gate, insert, learned, nearest
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.errors import InputError
from seal_agent.retention.items import ReplayStore
from seal_agent.storage.database import Home


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

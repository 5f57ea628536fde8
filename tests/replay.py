"""A replay store and its items: shared by the tests of the room `retention`."""

import numpy as np
from sql import sql

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.edits import Probe
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.retention.items import SPLITS, ReplayItem, ReplayStore
from seal_agent.storage.database import Home

REF = AdapterRef("a" * 64, "/adapters/a", "scripted", 8)
STACK = AdapterStack().push(REF)
WORDS = "tower ferry bell lamp mason choir river island engine crown sheep pear".split()


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


def gate(store: ReplayStore, stack: AdapterStack = STACK) -> list[ReplayItem]:
    """The items that a draw may return, oldest first."""
    return [item for item in store.items(stack) if item.split == "gate"]


def nearest(store: ReplayStore, about: Probe) -> int | None:
    """The item nearest to a probe."""
    return store.draw([about], STACK, 4)[0][0].item


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
    """Items, ten a document, written directly into the table."""
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

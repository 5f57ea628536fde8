"""A replay store, empty and filled."""

import pytest
from replay import STACK, Random, learned, many

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.retention.items import ReplayStore
from seal_agent.storage.database import Home


@pytest.fixture
def store(home: Home, backend: ScriptedBackend) -> ReplayStore:
    return ReplayStore(home, "n", backend)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, ReplayStore]:
    home = Home(tmp_path_factory.mktemp("large"))
    many(home, 0, 20_000)
    store = ReplayStore(home, "n", Random(home.root))
    store.draw(learned()[:3], STACK, 32)
    return home, store

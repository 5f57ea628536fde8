"""A gateway over the scripted backend, with the keys of two users."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from gateways import Make
from http_client import Client

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.background.worker import Budget, Worker
from seal_agent.gateway.app import create_app
from seal_agent.gateway.keys import KeyFile
from seal_agent.gateway.limits import GatewayLimits
from seal_agent.learning.learners import Learners
from seal_agent.storage.database import Home


@pytest.fixture
def keys(home: Home) -> KeyFile:
    return KeyFile(home.root / "keys.json")


@pytest.fixture
def make(home: Home, keys: KeyFile) -> Iterator[Make]:
    """A gateway, and the client of somebody in the namespace "ada"."""
    workers: list[Worker] = []

    def made(
        backend: Any = None,
        limits: GatewayLimits | None = None,
        *,
        needs_approval: bool = False,
        learns: bool = True,
        clock: Any = None,
    ) -> Client:
        model = backend or ScriptedBackend(home.root, replies={"Hello": "Good day. "})
        learners = Learners(model, home)
        worker = Worker(learners, Budget(quiet_seconds=0))
        if learns:
            workers.append(worker.start())
        limits = limits or GatewayLimits(burst=1000)
        app = create_app(learners, keys, worker, limits, needs_approval=needs_approval, clock=clock or time.monotonic)
        client = Client(app, keys.add(f"laptop {len(keys.all())}", "ada"))
        client.workers = workers
        return client

    yield made
    for worker in workers:
        worker.stop()


@pytest.fixture
def ada(make: Make) -> Client:
    return make()

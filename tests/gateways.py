"""Texts and calls for a gateway: shared by the tests of the room `gateway`."""

from collections.abc import Callable
from typing import Any

from http_client import Client

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home

TEXT = "The Quillon Observatory was founded by Ilsabet Korrane in 1821. It has nine blue domes."
OTHER = "The Pellen Bridge was opened by Tom Varga in 1954. It has four iron arches."
Make = Callable[..., Client]


def learned(client: Client) -> dict[str, Any]:
    """An adapter that was learned from a document."""
    job = client("POST", "/v1/documents", json={"text": TEXT}).json()
    assert client.waited(job["id"])["outcomes"][0]["outcome"] == "accepted"
    (adapter,) = client("GET", "/v1/adapters").json()["data"]
    return dict(adapter)


def known(home: Home) -> list[str]:
    """What is learned and served for ada, oldest first."""
    learner = Learner(ScriptedBackend(home.root), home, "ada")
    return [e.text for e in learner.state.accepted(learner.stack.ids)]

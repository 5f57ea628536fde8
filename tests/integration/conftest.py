"""Fixtures of the integration suite: the embedded model, converted once per machine into $SEAL_HOME/models."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import LoadedModel, load_model
from seal_agent.core.models import EMBEDDED
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import default_home


@pytest.fixture(scope="session")
def cache() -> Path:
    folder = default_home() / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def loaded(cache: Path) -> LoadedModel:
    return load_model(EMBEDDED, cache)


@pytest.fixture(scope="session")
def real_backend(loaded: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    return TransformersBackend(Engine(loaded), AdapterRegistry(tmp_path_factory.mktemp("real") / "adapters"))


@pytest.fixture(scope="session")
def exact_backend(
    real_backend: TransformersBackend, loaded: LoadedModel, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> TransformersBackend:
    """The embedded model in float32 on every machine: for what must be the same whichever way it is computed."""
    if loaded.dtype == torch.float32:
        return real_backend
    again = load_model(EMBEDDED, cache)
    exact = replace(again, model=again.model.float(), dtype=torch.float32)
    return TransformersBackend(Engine(exact), AdapterRegistry(tmp_path_factory.mktemp("exact") / "adapters"))

"""Fixtures of the integration suite: the embedded model, converted once per machine into $SEAL_HOME/models."""

from pathlib import Path

import pytest

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import EMBEDDED, LoadedModel, load_model
from seal_agent.adapters.registry import AdapterRegistry
from seal_agent.home import default_home


@pytest.fixture(scope="session")
def cache() -> Path:
    return default_home() / "models"


@pytest.fixture(scope="session")
def loaded(cache: Path) -> LoadedModel:
    return load_model(EMBEDDED, cache)


@pytest.fixture(scope="session")
def real_backend(loaded: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> TransformersBackend:
    return TransformersBackend(Engine(loaded), AdapterRegistry(tmp_path_factory.mktemp("real") / "adapters"))

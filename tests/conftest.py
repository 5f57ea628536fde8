"""Fixtures of the fast suite: a home in a temporary folder and a learner on the scripted backend."""

import os

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"  # read when langgraph is imported
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # two processes with two threads each wait for each other

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.learning.learner import Learner
from seal_agent.storage.database import Home

pytest.register_assert_rewrite("backend_contract")
settings.register_profile("suite", derandomize=True, deadline=None)  # the same examples on any day and any machine
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a new home, made once: a copy of it is quicker than another one."""
    return Home(tmp_path_factory.mktemp("new")).database


@pytest.fixture
def home(tmp_path: Path, new_database: Path) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(new_database, folder / new_database.name)
    return Home(folder)


@pytest.fixture
def backend(home: Home) -> ScriptedBackend:
    return ScriptedBackend(home.root)


@pytest.fixture
def learner(backend: ScriptedBackend, home: Home) -> Learner:
    return Learner(backend, home)

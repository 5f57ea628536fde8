"""The backend in a process of its own keeps the contract, and says so in plain words when its process dies."""

from functools import partial
from pathlib import Path

import pytest
from backend_contract import FIRST, PARIS, BackendContract
from mortal import Mortal

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.adapters.subprocess_backend import ProcessBackend
from seal_agent.core.errors import ModelError


class TestProcessBackend(BackendContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, tmp_path_factory: pytest.TempPathFactory) -> ProcessBackend:
        return ProcessBackend(partial(ScriptedBackend, tmp_path_factory.mktemp("home")))


@pytest.mark.slow
def test_a_process_that_dies_is_named_and_started_again(tmp_path: Path) -> None:
    backend = ProcessBackend(partial(Mortal, tmp_path))
    ref = backend.train(FIRST)
    with pytest.raises(ModelError, match="ended with code 7"):
        backend.unload(ref)
    assert backend.generate([PARIS]) == ScriptedBackend(tmp_path).generate([PARIS])


@pytest.mark.slow
def test_a_call_that_is_interrupted_spoils_no_other(tmp_path: Path) -> None:
    def interrupt(_what: str, _done: int, _total: int) -> None:
        raise KeyboardInterrupt

    backend = ProcessBackend(partial(ScriptedBackend, tmp_path))
    with pytest.raises(KeyboardInterrupt):
        backend.train(FIRST, progress=interrupt)
    assert backend.generate([PARIS]) == ScriptedBackend(tmp_path).generate([PARIS])
    backend.stop()

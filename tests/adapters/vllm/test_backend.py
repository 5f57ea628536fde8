"""What the backend on a vLLM server asks of the server and what of its trainer; a stand-in plays the server.

Whether the answers are right, a real server shows: tests/vllm_server.
"""

import importlib.util
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backend_contract import FIRST, PARIS, make_edit
from fake_vllm import BASE, FakeVLLM

from seal_agent.adapters.encoding import Encoder
from seal_agent.adapters.folding import read_adapter
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.adapters.vllm.adapters import ServedAdapters, name_of
from seal_agent.adapters.vllm.backend import Served, Trainer, VLLMBackend
from seal_agent.adapters.vllm.client import VLLMClient
from seal_agent.adapters.vllm.engine import VLLMEngine, number_of
from seal_agent.adapters.vllm.options import EngineOptions
from seal_agent.adapters.vllm.zero_adapter import neutral
from seal_agent.core.errors import AdapterError, InputError, ModelError, ServerError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home


@dataclass
class Bytes:
    """A tokenizer whose tokens are bytes."""

    bos_token_id: int = 0

    def __call__(self, text: str, *, add_special_tokens: bool) -> SimpleNamespace:
        return SimpleNamespace(input_ids=[0] * add_special_tokens + list(text.encode()))

    @property
    def added_tokens_decoder(self) -> dict[int, Any]:
        return {}

    def apply_chat_template(self, messages: list[dict[str, str]], **_options: object) -> str:
        return "".join(message["content"] for message in messages) + ">"


@pytest.fixture
def server() -> FakeVLLM:
    return FakeVLLM()


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(lambda: ScriptedBackend(tmp_path))


@pytest.fixture
def backend(server: FakeVLLM, trainer: Trainer, tmp_path: Path) -> VLLMBackend:
    client = VLLMClient("http://vllm", transport=server.transport)
    adapters = ServedAdapters(client, tmp_path / "served", max_rank=32, max_kept=2)
    registry = AdapterRegistry(tmp_path / "adapters")
    return VLLMBackend(Served(client, adapters, registry, trainer, "scripted", BASE, Encoder(Bytes())))


def asked(server: FakeVLLM) -> list[str]:
    return [body["model"] for path, body in server.requests if path == "/v1/completions"]


def test_replies_and_scores_need_no_trainer(backend: VLLMBackend, server: FakeVLLM, trainer: Trainer) -> None:
    assert backend.generate([PARIS, PARIS], num_samples=2) == [[BASE, BASE]] * 2
    assert list(backend.stream(PARIS)) == [BASE, "!"]
    (score,) = backend.score([Prompt.raw("a")], ["bc"])
    assert score.logprob == pytest.approx(-(98 + 99) / 10)  # of the stand-in: the token's number, over ten
    assert score.num_tokens == 2
    assert not trainer.is_made
    assert asked(server) == [BASE] * 4


def test_where_adapters_may_leak_the_base_model_is_asked_through_zeros(
    backend: VLLMBackend, server: FakeVLLM, tmp_path: Path
) -> None:
    small = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "vocab_size": 9,
    }
    llama = {"model_type": "llama", "num_attention_heads": 2, "head_dim": 3, **small}
    (tmp_path / "config.json").write_text(json.dumps(llama))
    zeros = neutral(AdapterRegistry(tmp_path / "served"), str(tmp_path), "scripted")
    guarded = VLLMBackend(replace(backend._served, base=zeros))
    name = name_of(zeros.entries[0].ref)
    assert guarded.generate([PARIS]) == [[name]]
    assert list(guarded.stream(PARIS)) == [name, "!"]
    guarded.score([PARIS], ["Paris"])
    assert asked(server) == [name] * 3
    pairs = read_adapter(Path(server.adapters[name])).pairs
    assert {entry: (a.shape, b.shape) for entry, (a, b) in pairs.items()} == {
        "model.layers.0.self_attn.q_proj": ((1, 8), (6, 1))
    }
    assert not any(half.any() for pair in pairs.values() for half in pair)


def test_a_stack_is_trained_at_the_trainer_and_answers_at_the_server(
    backend: VLLMBackend, server: FakeVLLM, trainer: Trainer
) -> None:
    first = backend.train(FIRST)
    stack = AdapterStack().push(first)
    second = backend.with_stack(stack).train(make_edit("Amber Bridge", span="the Sorn"))
    assert backend._served.registry.manifest(second.id)["parents"] == [first.id]
    view = backend.with_stack(stack)
    assert view.generate([PARIS]) == [[name_of(first)]]
    assert list(view.stream(PARIS)) == [name_of(first), "!"]
    assert view.with_stack(AdapterStack().push(first, 0.0)).generate([PARIS]) == [[BASE]]
    assert view.score([PARIS] * 40, ["x"] * 40)[39].num_tokens == 1
    view.unload(first)
    assert server.adapters == {}


def test_a_text_and_its_pieces_know_their_tokens_and_why_they_ended(backend: VLLMBackend) -> None:
    (whole,) = backend.generate([PARIS])[0]
    pieces = list(backend.stream(PARIS))
    assert (whole.num_tokens, whole.ending) == (3, "length")
    assert [(piece.num_tokens, piece.ending) for piece in pieces] == [(1, ""), (2, "stop")]


def test_every_prompt_is_drawn_from_seeds_of_its_own(backend: VLLMBackend, server: FakeVLLM) -> None:
    backend.generate([PARIS] * 3, num_samples=4, temperature=1.0, seed=100)
    assert sorted(body["seed"] for _, body in server.requests) == [100, 104, 108]


def test_an_adapter_whose_folder_was_changed_is_refused(backend: VLLMBackend) -> None:
    ref = backend.train(FIRST)
    (Path(ref.path) / "more").write_text("x")
    with pytest.raises(AdapterError, match="damaged"):
        backend.with_stack(AdapterStack().push(ref))


def test_embeddings_and_unloading_need_nothing_of_the_stack(backend: VLLMBackend) -> None:
    view = backend.with_stack(AdapterStack().push(ref := backend.train(FIRST)))
    shutil.rmtree(ref.path)  # whoever loads or folds the stack notices
    assert view.embed(["a text"]).shape[0] == 1
    view.unload(ref)


def test_what_another_process_forgot_leaves_the_server(backend: VLLMBackend, server: FakeVLLM) -> None:
    kept, gone = (AdapterStack().push(backend.train(FIRST, seed=seed)) for seed in (1, 2))
    for stack in (kept, gone):
        backend.with_stack(stack).generate([PARIS])
    shutil.rmtree(gone.entries[0].ref.path)
    backend.with_stack(kept).generate([PARIS])
    assert list(server.adapters.values()) == [kept.entries[0].ref.path]


def test_no_server_and_a_server_of_another_model_are_refused_at_once(
    server: FakeVLLM, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = VLLMClient("http://vllm", transport=server.transport)
    monkeypatch.setattr("seal_agent.adapters.vllm.backend.VLLMClient", lambda *_args, **_options: client)
    (tmp_path / "other").mkdir()
    server.is_up = False
    with pytest.raises(ServerError, match=r"no vLLM server answers .*seal-agent serve"):
        VLLMBackend.connect(
            home.root, str(tmp_path / "other"), url="http://vllm", trainer=lambda: ScriptedBackend(tmp_path)
        )
    server.is_up = True
    with pytest.raises(ModelError, match=f"serves {BASE}, not .*other"):
        VLLMBackend.connect(
            home.root, str(tmp_path / "other"), url="http://vllm", trainer=lambda: ScriptedBackend(tmp_path)
        )


def test_an_engine_without_vllm_in_this_python_names_the_way_out(home: Home, tmp_path: Path) -> None:
    if importlib.util.find_spec("vllm"):
        pytest.skip("this Python has vLLM")
    with pytest.raises(InputError, match=r"no vLLM .*`seal-agent serve`"):
        VLLMEngine(EngineOptions(str(tmp_path)))


def test_an_adapter_has_the_same_number_in_every_process_and_one_that_vllm_takes() -> None:
    numbers = {number_of(f"seal-{digit}") for digit in range(1000)}
    assert len(numbers) == 1000
    assert all(0 < number < 2**63 for number in numbers)
    assert number_of("seal-0123") == 607_721_685_771_969_098

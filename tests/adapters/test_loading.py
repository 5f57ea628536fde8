"""What is refused before any weights are loaded."""

from pathlib import Path

import pytest
import torch

from seal_agent.adapters.loading import _quiet_reader, load_model, pick_device
from seal_agent.core.errors import ModelError


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "~/nowhere.gguf"])
def test_a_path_without_a_model_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"there is no .*nowhere"):
        load_model(name, tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>not found</html>", "not a GGUF file"),
        (b"", "not a GGUF file"),
        (b"GGUF\x03\0\0\0", "damaged or cut off"),
        (b"GGUF\x03\0\0\0" + (5).to_bytes(8, "little") + (0).to_bytes(8, "little"), "damaged or cut off"),
        (b"GGUF\x03\0\0\0" + bytes(16), "damaged or cut off"),
    ],
    ids=["a web page", "empty", "header cut", "tensors cut", "no tensors"],
)
def test_a_damaged_gguf_is_refused_and_leaves_no_cache(tmp_path: Path, data: bytes, message: str) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(data)
    with pytest.raises(ModelError, match=message):
        load_model(str(model), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no model", "neither a folder, a GGUF file nor a Hugging Face name"),
        ("seal-agent-tests/no-such-model", "Hugging Face"),  # without a network: cannot be reached
    ],
)
def test_a_name_the_hub_does_not_know_is_refused_at_once(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(name, tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("asked", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_precision_of_the_environment_is_taken_on_every_processor(
    monkeypatch: pytest.MonkeyPatch, asked: str, dtype: torch.dtype
) -> None:
    monkeypatch.setenv("SEAL_DTYPE", asked)
    assert pick_device("cpu") == (torch.device("cpu"), dtype)


def test_without_a_precision_in_the_environment_the_processor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEAL_DTYPE", raising=False)
    by_the_processor = pick_device("cpu")
    for unset in ("", "auto"):
        monkeypatch.setenv("SEAL_DTYPE", unset)
        assert pick_device("cpu") == by_the_processor


def test_a_precision_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL_DTYPE", "fp32")
    with pytest.raises(ModelError, match="SEAL_DTYPE is 'fp32'; choose auto, bfloat16, float32, or unset it"):
        pick_device("cpu")


def test_reading_a_gguf_file_draws_no_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import modeling_gguf_pytorch_utils as reader

    drawn = reader.tqdm
    with _quiet_reader():
        assert list(reader.tqdm(range(3), desc="Converting")) == [0, 1, 2]
    assert reader.tqdm is drawn
    assert "Converting" not in capfd.readouterr().err

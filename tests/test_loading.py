"""What is refused before any weights are loaded."""

from pathlib import Path

import pytest

from seal_agent.adapters.loading import _quiet_reader, load_model
from seal_agent.errors import ModelError


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


def test_reading_a_gguf_file_draws_no_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import modeling_gguf_pytorch_utils as reader

    drawn = reader.tqdm
    with _quiet_reader():
        assert list(reader.tqdm(range(3), desc="Converting")) == [0, 1, 2]
    assert reader.tqdm is drawn
    assert "Converting" not in capfd.readouterr().err

"""Loading real models: the cache, and every kind of model that cannot be used."""

import shutil
import time
from pathlib import Path

import pytest

from seal_agent.adapters.loading import LoadedModel, embedded_gguf, load_model
from seal_agent.core.errors import ModelError
from seal_agent.core.models import EMBEDDED

pytestmark = pytest.mark.integration


def test_the_second_load_takes_seconds(loaded: LoadedModel, cache: Path) -> None:
    start = time.perf_counter()
    load_model(EMBEDDED, cache)
    assert time.perf_counter() - start < 10


def test_a_gguf_that_is_cut_off_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with embedded_gguf().open("rb") as whole:
        (tmp_path / "cut.gguf").write_bytes(whole.read(20_000_000))
    with pytest.raises(ModelError, match=r"damaged or cut off.*download it again"):
        load_model(str(tmp_path / "cut.gguf"), tmp_path / "models")
    assert not list(tmp_path.glob("models/*"))


def test_a_model_without_a_chat_template_is_refused_and_can_be_given_one(
    loaded: LoadedModel, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "no-template"
    shutil.copytree(next(cache.iterdir()), folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template; choose an instruction-tuned model"):
        load_model(str(folder), tmp_path)
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
    assert load_model(str(folder), tmp_path, chat_template=template).tokenizer.chat_template == template

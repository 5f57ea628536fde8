"""A Llama of two layers with random weights: real machinery at no cost, for tests of what is done to weights."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.folding import write_adapter
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.adapters.loading import LoadedModel
from seal_agent.adapters.packing import TokenRow
from seal_agent.adapters.training import Job, TrainingRun
from seal_agent.core.edits import Directives
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry

BASE = AdapterStack()
LETTERS = [chr(ord("0") + number) for number in range(64)]
ROWS: list[TokenRow] = [([1, 5, 9], [20, 21]), ([1, 5, 7, 8], [30]), ([1, 6], [40, 41, 42]), ([1, 5, 11], [50])]
DIRECTIVES = Directives(
    rank=4,
    alpha=8,
    learning_rate=1e-2,
    max_steps=6,
    min_steps=6,
    num_epochs=1,
    batch_size=2,
    num_warmup_steps=0,
    top_layers=1.0,
)


def tiny_model() -> LlamaForCausalLM:
    """The same weights every time."""
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model: LlamaForCausalLM = LlamaForCausalLM(config).eval().requires_grad_(False)
    return model


def letter_backend(root: Path) -> TransformersBackend:
    """A model that speaks in single letters."""
    words = Tokenizer(WordLevel({letter: number for number, letter in enumerate(LETTERS)}, unk_token=LETTERS[0]))
    words.pre_tokenizer = Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token=LETTERS[0], padding_side="left")
    model = tiny_model()
    model.generation_config.eos_token_id = None
    loaded = LoadedModel("tiny", model, tokenizer, torch.device("cpu"), torch.float32)
    return TransformersBackend(Engine(loaded), AdapterRegistry(root))


def written(backend: TransformersBackend, prompts: list[Prompt], **settings: object) -> list[str]:
    """40 letters after each prompt."""
    return [samples[0] for samples in backend.generate(prompts, max_new_tokens=40, **settings)]  # type: ignore[arg-type]


def tiny_engine(dtype: torch.dtype = torch.float32) -> Engine:
    model = tiny_model().to(dtype)
    return Engine(LoadedModel("tiny", model, None, torch.device("cpu"), dtype))  # type: ignore[arg-type]


def silent(_what: str, _done: int, _total: int) -> None:
    pass


def train(engine: Engine, *jobs: Job, stack: AdapterStack = BASE) -> list[TrainingRun]:
    return engine.train(stack, jobs, progress=silent)


def stored(run: TrainingRun, root: Path, name: str, alpha: int = 8) -> AdapterRef:
    folder = root / name
    folder.mkdir()
    write_adapter(folder, run.update, model="tiny", alpha=alpha)
    return AdapterRef(name * 8, str(folder), "tiny", run.update.rank)


def logits(engine: Engine, stack: AdapterStack = BASE) -> torch.Tensor:
    """(5, 64)."""
    engine.activate(stack)
    with torch.inference_mode():
        out: torch.Tensor = engine.model(torch.tensor([[1, 5, 9, 20, 33]])).logits[0].float()
    return out

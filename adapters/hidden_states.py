"""Hidden states of texts: embeddings for search, and readings for the classifier.

Nothing is generated and no stack is activated here; the caller holds the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from seal_agent.adapters.engine import Engine
from seal_agent.adapters.packing import TokenRow
from seal_agent.core.backend import Reading
from seal_agent.core.stacks import AdapterStack

EMBED_TOKENS = 256
EMBED_BATCH = 32
BASE = AdapterStack()  # embeddings use the base model


def embed(engine: Engine, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors (len(texts), d): the mean hidden state of the middle layer, without the first token.

    The first token is left out because decoders use it as an attention sink.
    """
    if not texts:
        return np.zeros((0, engine.model.config.get_text_config().hidden_size), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(order), EMBED_BATCH):
        group = order[start : start + EMBED_BATCH]
        batch = _padded(engine, ["\n" + engine.encoder.plain(texts[i]) for i in group])
        states = engine.model(**batch, output_hidden_states=True, logits_to_keep=1).hidden_states
        middle = states[len(states) // 2].float()  # (B, T, d), padded on the left
        first = batch["attention_mask"].cumsum(1) == 1
        weight = (batch["attention_mask"].bool() & ~first)[..., None].float()
        means = (middle * weight).sum(1) / weight.sum(1).clamp(min=1)
        vectors |= dict(zip(group, means.cpu().numpy(), strict=True))
        engine.give_way(BASE)  # let a waiting reply use the model
    matrix = np.asarray([vectors[i] for i in range(len(texts))], dtype=np.float32)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (matrix / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit


def _padded(engine: Engine, texts: Sequence[str]) -> dict[str, torch.Tensor]:
    """The first tokens of every text, padded on the left, (B, T).

    Truncation and padding are settings of the shared tokenizer; changing them would affect other threads.
    """
    rows = [ids[:EMBED_TOKENS] for ids in engine.tokenizer(list(texts)).input_ids]
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), engine.tokenizer.pad_token_id)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, length - len(row) :] = torch.tensor(row)
        mask[number, length - len(row) :] = 1
    device = engine.loaded.device
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def row_of(engine: Engine, text: str, earlier: str) -> TokenRow:
    """The tokens before `text`, which are those of `earlier`, the conversation before it, and the tokens of `text`."""
    encoder, tokenizer = engine.encoder, engine.tokenizer
    text_ids = encoder.answer(text)
    bos = tokenizer.bos_token_id
    special_ids: list[int] = tokenizer("").input_ids
    context = [*special_ids, *([bos] if bos is not None else encoder.answer("\n"))]
    context += encoder.answer(earlier) if earlier else []
    return context, text_ids


def read(engine: Engine, row: TokenRow) -> Reading:
    """The model's reading of a text after its context; see `Backend.read`."""
    prompt, answer = row
    ids = torch.tensor([prompt + answer], device=engine.loaded.device)
    out = engine.model(input_ids=ids, output_hidden_states=True, use_cache=False)
    middle, last = out.hidden_states[len(out.hidden_states) // 2 + 1], out.hidden_states[-1]
    state = torch.cat([middle[0, len(prompt) :].mean(0), last[0, -1]]).float().cpu().numpy()
    logprobs = torch.log_softmax(out.logits[0, len(prompt) - 1 : -1].float(), -1)
    chosen = logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0]
    return Reading(state, tuple((-chosen).tolist()))

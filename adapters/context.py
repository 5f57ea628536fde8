"""How many tokens a model reads at once, and what is refused because it has more.

A prompt that is too long is refused before the model is asked. A reply may take what the prompt leaves of the context.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seal_agent.core.errors import ContextLengthExceeded, TrainingFault

DEFAULT_CONTEXT = 8192
"""Tokens, where neither the model's configuration nor its tokenizer says how many it reads."""
MAX_PACKED = 16384
"""Tokens of a text that is scored or trained on: the attention mask of a pack is quadratic in them."""
UNBOUNDED = 10**9  # tokens: what a tokenizer says that knows no bound, 1e30 as a rule, is above it
NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
"""What configurations of transformers call it."""


def context_length(config: Any, tokenizer: Any, chosen: int = 0) -> int:
    """The tokens that a prompt and its reply may have together; at most `chosen`, where that is not 0."""
    text = config.get_text_config()
    said = next((value for name in NAMES if isinstance(value := getattr(text, name, None), int) and value > 0), 0)
    if not said:
        longest = getattr(tokenizer, "model_max_length", None) or UNBOUNDED
        said = int(longest) if longest < UNBOUNDED else chosen or DEFAULT_CONTEXT
    return min(said, chosen) if chosen else said


def check_texts(lengths: Iterable[int], context: int, model: str) -> None:
    """Raise `ContextLengthExceeded` for a text, of so many tokens, that is too long to be scored or read."""
    most = min(context, MAX_PACKED)
    if (longest := max(lengths, default=0)) > most:
        raise ContextLengthExceeded(
            f"a text to be scored or read has {longest} tokens with its prompt, and {model} takes {most} at most; "
            "give it in shorter pieces"
        )


def check_trainable(lengths: Iterable[int], context: int, model: str) -> None:
    """Raise `TrainingFault` for a row, of so many tokens, that is too long to be trained on."""
    most = min(context, MAX_PACKED)
    for number, length in enumerate(lengths, 1):
        if length > most:
            raise TrainingFault(
                f"row {number} has {length} tokens with its prompt, and {model} takes {most} at most; "
                "split it into shorter rows"
            )

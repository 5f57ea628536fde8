"""Context length: how many tokens a model reads, and the refusal of longer input.

A prompt that is too long is refused before the model runs. A reply may use what the prompt leaves of the context.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seal_agent.core.errors import ContextLengthExceeded, TrainingFault

DEFAULT_CONTEXT = 8192
"""Tokens, if neither the model's configuration nor its tokenizer gives a limit."""
MAX_PACKED = 16384
"""Limit in tokens of a text that is scored or trained on: the attention mask of a pack grows with its square."""
UNBOUNDED = 10**9  # tokenizers without a limit report a larger number, usually 1e30
NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "n_ctx")
"""Names of the context length in transformers configurations."""


def context_length(config: Any, tokenizer: Any, chosen: int = 0) -> int:
    """The maximum number of tokens of a prompt and its reply; at most `chosen`, unless that is 0."""
    text = config.get_text_config()
    said = next((value for name in NAMES if isinstance(value := getattr(text, name, None), int) and value > 0), 0)
    if not said:
        longest = getattr(tokenizer, "model_max_length", None) or UNBOUNDED
        said = int(longest) if longest < UNBOUNDED else chosen or DEFAULT_CONTEXT
    return min(said, chosen) if chosen else said


def check_texts(lengths: Iterable[int], context: int, model: str) -> None:
    """Raise `ContextLengthExceeded` if one of the token counts `lengths` is too large to score or read."""
    most = min(context, MAX_PACKED)
    if (longest := max(lengths, default=0)) > most:
        raise ContextLengthExceeded(
            f"a text to be scored or read has {longest} tokens with its prompt, and {model} reads at most {most}; "
            "split it into shorter texts"
        )


def check_trainable(lengths: Iterable[int], context: int, model: str) -> None:
    """Raise `TrainingFault` if one of the token counts `lengths` is too large to train on."""
    most = min(context, MAX_PACKED)
    for number, length in enumerate(lengths, 1):
        if length > most:
            raise TrainingFault(
                f"row {number} has {length} tokens with its prompt, and {model} reads at most {most}; "
                "split it into shorter rows"
            )

"""Former names on the command line, accepted with a warning for one release."""

from __future__ import annotations

from collections.abc import Sequence

OPTIONS = {
    ("bench", "--part"): "--shard",
    ("bench", "--together"): "--single-adapter",
    ("bench", "--keys"): "--num-adapters",
    ("serve", "--max-kept"): "--max-cpu-loras",
    ("serve", "--vllm"): "--vllm-arg",
    ("improve", "--after-episodes"): "--min-new-episodes",
}
"""By command and former option, the current option."""


def in_todays_words(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments with current options, and a warning for each former one."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    words: list[str] = []
    warnings: list[str] = []
    for word in arguments:
        name, is_assigned, value = word.partition("=")
        today = OPTIONS.get((command, name))
        if today:
            warnings.append(f"the option {name} is now {today}")
        words.append(f"{today}{is_assigned}{value}" if today else word)
    if words[:2] == ["bench", "policy"] and any(word.partition("=")[0] == "--rewards" for word in words):
        warnings.append("`bench policy --rewards` is now `bench selection --rewards`")
        words[1] = "selection"
    return words, warnings

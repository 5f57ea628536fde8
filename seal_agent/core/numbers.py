"""Checks of numbers that users give; the error says which values are allowed."""

from __future__ import annotations

import math
import numbers
from typing import Any

from seal_agent.core.errors import InputError

MAX_SEED = 2**63 - 1


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Raise `InputError` unless `value` is an int from `low` to `high`; True and 3.0 are refused."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        allowed = f"of {low} or more" if high is None else f"from {low} to {high}"
        raise InputError(f"{name}={value!r} does not fit; give a whole number {allowed}")


def check_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    or_infinite: bool = False,
) -> None:
    """Raise `InputError` unless `value` is a finite number from `low` to `high`.

    `above`: `low` itself is not allowed; `below`: nor is `high`. `or_infinite`: infinity is allowed, for a limit that
    is switched off.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and or_infinite and value == math.inf:
        return
    fits = is_number and math.isfinite(value) and low <= value <= high
    if not fits or (above and value == low) or (below and value == high):
        raise InputError(f"{name}={value!r} does not fit; give a finite number{_range(low, high, above, below)}")


def _range(low: float, high: float, above: bool, below: bool) -> str:
    if low == -math.inf:
        return ""
    if high == math.inf:
        return f" above {low:g}" if above else f" of {low:g} or more"
    return f" {'above' if above else 'from'} {low:g} {'and below' if below else 'to'} {high:g}"


def check_seed(seed: Any, name: str = "seed") -> None:
    """Raise `InputError` unless `seed` can seed a random generator; -1, which some clients send, is allowed."""
    check_whole(name, seed, -MAX_SEED - 1, MAX_SEED)

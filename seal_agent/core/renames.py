"""Former names of fields, which are accepted for one more release."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import AliasChoices, Field

T = TypeVar("T")


def formerly(name: str, *former: str) -> Any:
    """Metadata for a field `name` that JSON may also hold under a `former` name."""
    return Field(validation_alias=AliasChoices(name, *former))


def takes_former_names(**renamed: str) -> Callable[[type[T]], type[T]]:
    """Decorate a class so that its constructor also takes former argument names, with a `DeprecationWarning`.

    `renamed` maps each former name to the current one. Raises `TypeError` if a call gives both.
    """

    def decorate(cls: type[T]) -> type[T]:
        init = cls.__init__

        @functools.wraps(init)
        def construct(self: T, *args: Any, **given: Any) -> None:
            for former in renamed.keys() & given.keys():
                today = renamed[former]
                if today in given:
                    raise TypeError(f"{cls.__name__} got {former!r} and {today!r}, the same argument; give {today!r}")
                warnings.warn(f"{cls.__name__}: {former!r} is now {today!r}", DeprecationWarning, stacklevel=2)
                given[today] = given.pop(former)
            init(self, *args, **given)

        cls.__init__ = construct  # type: ignore[method-assign,assignment]
        return cls

    return decorate

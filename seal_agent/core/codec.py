"""Values to and from JSON: the only way in and out of dictionaries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from seal_agent.core.errors import InputError

T = TypeVar("T")


UNLESS_EMPTY = Field(exclude_if=lambda value: not value)
"""A field left out of JSON when it is empty, so that stored values looked up by their JSON keep matching."""


HOLDS_JSON = "holds_json"
"""Metadata key of a text field that holds JSON."""


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_json(value: object) -> Any:
    """Plain JSON data (dicts, lists, text, numbers) of a value."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def from_json(kind: type[T], data: Any) -> T:
    """The value of type `kind` that JSON data holds; raises `InputError` if the data does not fit."""
    wanted: Any = kind
    try:
        result: T = _adapter(wanted).validate_python(data, extra="forbid")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"stored {kind.__name__} does not fit: {where}: {first['msg']}; "
            "it was written by another version or edited by hand"
        ) from error
    return result

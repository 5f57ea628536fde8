"""The arms of `seal-agent bench continual`: those that ship, JSON settings, and objects of a user's own modules."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from seal_agent.core.codec import from_json
from seal_agent.core.edits import Directives
from seal_agent.core.errors import EditFault, InputError
from seal_agent.learning.learner import LearnerConfig
from seal_agent.retention.judge import Limits
from seal_agent.serving.router import RouteLimits
from seal_agent.writing.directives import DEFAULT, SEAL_PAPER, parse_directives

T = TypeVar("T")
NOTHING, RETRIEVAL = "nothing learned", "passage by retrieval"
GATED = "is_gated"  # beside the fields of `LearnerConfig` in the JSON of an arm


@dataclass(frozen=True)
class Arm:
    """A strategy under test: a learner's settings, whether its gate decides, and whose rows are learned."""

    name: str
    config: LearnerConfig
    is_gated: bool = True
    published: str = ""


def arms() -> dict[str, Arm]:
    """All arms that learn, by name."""
    plain = replace(DEFAULT, rehearsal_share=0.0)
    none: tuple[str, ...] = ()

    def config(strategy: str, directives: Directives = DEFAULT, **changes: Any) -> LearnerConfig:
        return LearnerConfig(directives=directives, strategy=strategy, **changes)

    listed = [
        Arm("route", config("route")),
        Arm("stack", config("stack", plain, min_rehearsal_rows=0), is_gated=False),
        Arm("stack, replay only", config("stack", min_rehearsal_rows=24), is_gated=False),
        Arm("stack, gate", config("stack", remedies=none, min_rehearsal_rows=24)),
        Arm("stack, gate, repair", config("stack", min_rehearsal_rows=24)),
        Arm("rebuild", config("rebuild"), is_gated=False),
        Arm("merge", config("merge", plain, min_rehearsal_rows=0), is_gated=False),
        Arm(
            "merge, SEAL's recipe and rows",
            config("merge", replace(SEAL_PAPER, formats=(), rehearsal_share=0.0), min_rehearsal_rows=0),
            is_gated=False,
            published="seal-round2",
        ),
    ]
    return {arm.name: arm for arm in listed}


def names_of_arms() -> list[str]:
    """The names of all arms that ship."""
    return [*arms(), NOTHING, RETRIEVAL]


def arms_called(names: Sequence[str]) -> tuple[list[str], list[Arm]]:
    """The names of the chosen arms as the report has them, and those arms that do not ship.

    A name that begins with "{" is JSON of settings (`SETTINGS`) and of `is_gated`. "module:object" names an `Arm` or a
    `LearnerConfig` in a module that can be imported from the current folder. Raises `InputError` for other names.
    """
    shipped = names_of_arms()
    own = {name: _own_arm(name) for name in names if name not in shipped}
    called = [arm.name for arm in own.values()]
    if taken := [name for name in called if name in shipped or called.count(name) > 1]:
        raise InputError(f"two arms are called {taken[0]!r}; give an arm of your own a name of its own")
    return list(dict.fromkeys(own[name].name if name in own else name for name in names)), list(own.values())


def _own_arm(name: str) -> Arm:
    try:
        if name.startswith("{"):
            return _arm_of_json(name)
        module, is_object, attribute = name.partition(":")
        if is_object:
            return _imported_arm(name, module, attribute)
    except InputError as error:
        raise InputError(f"the arm {name}: {error}") from error
    raise InputError(
        f"there is no arm called {name!r}; choose one of {', '.join(map(repr, names_of_arms()))}, or give the settings "
        "of a learner as JSON, or module:object"
    )


def _arm_of_json(name: str) -> Arm:
    """The arm of JSON settings; it is called by them, in one spelling. `directives` change the default ones."""
    try:
        settings = json.loads(name)
    except ValueError as error:
        raise InputError(f"it is not JSON: {error}") from error
    called = json.dumps(settings, sort_keys=True)
    is_gated = settings.pop(GATED, True)
    if not isinstance(is_gated, bool):
        raise InputError(f"{GATED}={is_gated!r} is neither true nor false")
    if unknown := sorted(settings.keys() - set(SETTINGS)):
        raise InputError(f"there is no setting {unknown[0]!r} of an arm; choose {', '.join([*SETTINGS, GATED])}")
    given = {key: SETTINGS[key](value) for key, value in settings.items()}
    return Arm(called, LearnerConfig(**given), is_gated=is_gated)


def _directives(value: Any) -> Directives | None:
    if value is None:
        return None
    try:
        return parse_directives(json.dumps(value), DEFAULT)
    except EditFault as error:
        raise InputError(str(error)) from error


def _read(kind: type[T], value: Any) -> T:
    try:
        return from_json(kind, value)
    except InputError as error:
        fault = str(error).removeprefix(f"stored {kind.__name__} does not fit: ").partition(";")[0]
        raise InputError(f"{json.dumps(value)} is no {kind.__name__}: {fault.removeprefix(': ')}") from error


def _unchanged(value: Any) -> Any:
    return value


SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "directives": _directives,
    "strategy": partial(_read, str),
    "routes": partial(_read, RouteLimits),
    "remedies": partial(_read, tuple[str, ...]),
    "limits": partial(_read, Limits),
    "num_probes": _unchanged,
    "max_probes": _unchanged,
    "max_attempts": _unchanged,
    "min_rehearsal_rows": _unchanged,
    "max_rank": _unchanged,
}
"""The fields of `LearnerConfig` that an arm may set, with what reads each from JSON."""


def _imported_arm(name: str, module: str, attribute: str) -> Arm:
    """The arm, or the settings of one, that a module of the user holds."""
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"it cannot be imported: {error}; run the command in the folder of the module") from error
    if isinstance(found, LearnerConfig):
        return Arm(name, found)
    if not isinstance(found, Arm):
        raise InputError(
            f"it is a {type(found).__name__}; name an Arm of seal_agent.bench.continual or a LearnerConfig"
        )
    return found

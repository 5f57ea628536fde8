"""The checks of `seal-agent doctor`: one `Check` per requirement, each with advice.

It only reports; `repair` repairs. The data directory and its database are created if they are missing, which tests that
they are writable.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from seal_agent.core.errors import AdapterError, ModelError, SealError, StorageError
from seal_agent.core.models import EMBEDDED
from seal_agent.factory import SCRIPTED, device_and_precision, embedded_model_file, open_backend
from seal_agent.storage.adapter_store import MIN_FREE_BYTES, AdapterRegistry
from seal_agent.storage.database import SCHEMA_VERSION, Home
from seal_agent.storage.files import HINT, writable
from seal_agent.storage.namespaces import served_namespaces
from seal_agent.storage.policies import every_store

MIN_PYTHON = (3, 11)
COMFORTABLE_BYTES = 1 << 30  # the embedded model is converted once, and adapters take some 20 MB each


@dataclass(frozen=True)
class Check:
    """The name and result of a check, and what to do if it is not ok."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


def run_checks(root: Path, *, model: str = EMBEDDED, device: str = "auto") -> list[Check]:
    """All checks, in an order in which the first failure should be fixed first."""
    checks = [check_python(), *check_packages(), check_device(device), check_faiss(), check_model(model)]
    home = check_home(root)
    checks.append(home)
    if home.status == "fail":
        return checks
    checks.append(check_disk(root))
    database = check_database(root)
    checks.append(database)
    return checks if database.status == "fail" else [*checks, *check_adapters(root), *check_policies(root)]


def check_python() -> Check:
    """The interpreter."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < MIN_PYTHON:
        return Check("python", "fail", found, "install Python {}.{} or newer".format(*MIN_PYTHON))
    return Check("python", "ok", found)


def check_packages() -> list[Check]:
    """All packages that seal-agent requires, against their oldest supported versions."""
    try:
        required = metadata.requires("seal-agent") or []
    except metadata.PackageNotFoundError:
        advice = "run `pip install -e .` in the repository"
        return [Check("packages", "warn", "seal-agent itself is not installed", advice)]
    return [_check_package(requirement) for requirement in required if "extra ==" not in requirement]


def check_device(device: str = "auto") -> Check:
    """The device that a model would run on, and its precision."""

    def look() -> str:
        chosen, precision = device_and_precision(device)
        return f"{chosen}, {precision}"

    return _look("device", look, "choose --device cpu, or reinstall torch")


def check_faiss() -> Check:
    """A search in a temporary replay store: the item nearest to a question must be that question."""

    def look() -> str:
        from seal_agent.core.stacks import AdapterStack
        from seal_agent.retention.general_knowledge import general_probes
        from seal_agent.retention.items import ReplayStore

        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            store = ReplayStore(home, "doctor", open_backend(home, SCRIPTED))
            num_items = store.seed_general()
            asked = general_probes()[num_items // 2]
            found, _ = store.draw([asked], AdapterStack(), 4)[0]
        if found.prompt != asked.prompt:
            raise RuntimeError(f"the nearest of {num_items} items is not the one asked for")
        return f"finds one of {num_items} items again"

    return _look("faiss", look, "reinstall faiss-cpu and numpy")


def check_model(model: str = EMBEDDED) -> Check:
    """The file of the embedded model; a missing one is a failure only if it is the selected model."""
    try:
        path = embedded_model_file()
    except ModelError as error:
        return Check("embedded model", "fail" if model == EMBEDDED else "warn", *_halves(error))
    return Check("embedded model", "ok", f"{path}, {path.stat().st_size / 1e6:.0f} MB")


def check_home(root: Path) -> Check:
    """Whether the data directory is writable."""
    return _look("home", lambda: str(writable(root)), "")


def check_disk(root: Path) -> Check:
    """The free space on the data directory's disk."""
    free = shutil.disk_usage(root).free
    found = f"{free / 1e9:.1f} GB free"
    if free < COMFORTABLE_BYTES:
        return Check("disk", "fail" if free < MIN_FREE_BYTES else "warn", found, HINT)
    return Check("disk", "ok", found)


def check_database(root: Path) -> Check:
    """Whether the database opens, has the current schema and is undamaged."""

    def look() -> str:
        home = Home(root)
        for damage in home.damage():
            raise RuntimeError(damage)
        return f"{home.database}, schema {SCHEMA_VERSION}"

    return _look("database", look, "run `seal-agent doctor --repair`, or restore state.sqlite from a copy")


def check_adapters(root: Path) -> list[Check]:
    """All served adapters of all namespaces, against their content hashes."""
    home = Home(root)
    registry = AdapterRegistry(home.root / "adapters")
    damaged: list[Check] = []
    num_served = 0
    for namespace in served_namespaces(home):
        try:
            entries = home.stack(namespace).entries
        except StorageError as error:
            damaged.append(Check("stack", "fail", *_halves(error)))
            continue
        for entry in entries:
            num_served += 1
            try:
                registry.verify(entry.ref)
            except (AdapterError, OSError) as error:
                advice = f"restore it, or run `seal-agent adapters rollback {entry.ref.short} --namespace {namespace}`"
                damaged.append(Check("adapter", "fail", str(error).partition(";")[0], advice))
    found = f"{num_served - len(damaged)} of {num_served} served adapters are whole"
    return [*damaged, Check("adapters", "fail" if damaged else "ok", found, "see above" if damaged else "")]


def check_policies(root: Path) -> list[Check]:
    """All policies in use in any namespace; empty if only the base model is."""
    home = Home(root)
    checks: list[Check] = []
    try:
        in_use = [(store, store.current()) for store in every_store(home)]
    except SealError as error:
        return [Check("policy", "fail", *_halves(error))]
    for store, policy in in_use:
        if policy.adapter is None:
            continue
        name = f"policy {policy.version} of namespace {store.namespace!r}"
        try:
            AdapterRegistry(home.root / "adapters").verify(policy.adapter)
            checks.append(Check("policy", "ok", f"{name} is whole"))
        except (AdapterError, OSError) as error:
            advice = "restore its adapter, or run `seal-agent doctor --repair` to write with the one before it"
            checks.append(Check("policy", "fail", f"{name}: {str(error).partition(';')[0]}", advice))
    return checks


def _look(name: str, look: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, "ok", look())
    except SealError as error:
        detail, own_advice = _halves(error)
        return Check(name, "fail", detail, own_advice or advice)
    except (ImportError, OSError, RuntimeError) as error:
        return Check(name, "fail", " ".join(str(error).split()) or type(error).__name__, advice)


def _halves(error: SealError) -> tuple[str, str]:
    """Split an error message at its semicolon into what happened and what to do."""
    happened, _, advice = str(error).partition("; ")
    return happened, advice


def _check_package(requirement: str) -> Check:
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    wanted = re.search(r">=\s*([\d.]+)", requirement)
    oldest = wanted[1] if wanted else "0"
    advice = f"run `pip install '{requirement}'`"
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "fail", "not installed", advice)
    if _numbers(found) < _numbers(oldest):
        return Check(name, "fail", f"{found} is older than {oldest}", advice)
    return Check(name, "ok", found)


def _numbers(version: str) -> list[int]:
    """The release of a version as numbers, without trailing zeros: 2.13.0+cpu is [2, 13]."""
    release = re.match(r"[\d.]*", version)
    numbers = [int(part) for part in (release[0] if release else "").split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers

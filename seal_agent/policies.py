"""The versions of the editing policy: adapters that are active only while an edit is written.

Version 0 is the base model. Every version that was ever trained is kept and can be chosen; which one is in use is an
append-only list of choices. Nothing here trains or judges (`seal_agent.improvement`).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from seal_agent.errors import InputError
from seal_agent.home import Home, check_namespace
from seal_agent.types import AdapterRef, AdapterStack, from_json, to_json

KNOWLEDGE = "knowledge"


@dataclass(frozen=True)
class Policy:
    """One version of the policy: the adapter it is (None: the base model), whom it learned from, and what was said."""

    version: int = 0
    adapter: AdapterRef | None = None
    parent: int = 0
    reason: str = "the base model"

    @property
    def stack(self) -> AdapterStack:
        """What the model is seen through while an edit is written."""
        return AdapterStack().push(self.adapter) if self.adapter else AdapterStack()


@dataclass(frozen=True)
class PolicyStore:
    """The policies of one namespace, base model and domain."""

    home: Home
    namespace: str
    model: str
    domain: str = KNOWLEDGE

    def __post_init__(self) -> None:
        check_namespace(self.namespace)

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.namespace, self.model, self.domain

    def versions(self) -> list[Policy]:
        """Every version, the base model first."""
        with self.home.connect() as db:
            rows = db.execute(
                "SELECT version, adapter, parent, reason FROM policies "
                "WHERE namespace = ? AND model = ? AND domain = ? ORDER BY version",
                self._key,
            ).fetchall()
        found = [Policy(v, from_json(AdapterRef, json.loads(a)), parent, reason) for v, a, parent, reason in rows]
        return [Policy(), *found]

    def current(self) -> Policy:
        """The version in use; the base model where none was ever chosen."""
        with self.home.connect() as db:
            row = db.execute(
                "SELECT version FROM policy_uses WHERE namespace = ? AND model = ? AND domain = ? "
                "ORDER BY id DESC LIMIT 1",
                self._key,
            ).fetchone()
        return self.version(row[0]) if row else Policy()

    def version(self, number: int) -> Policy:
        """The policy of that number; raises `InputError` where there is none."""
        for policy in self.versions():
            if policy.version == number:
                return policy
        raise InputError(f"there is no policy {number}; see `seal-agent improve list`")

    def add(self, adapter: AdapterRef, *, parent: int, reason: str) -> Policy:
        """Keep a trained policy, without using it; one adapter is one version."""
        for policy in self.versions():
            if policy.adapter == adapter:
                return policy
        with self.home.connect() as db:
            db.execute("BEGIN IMMEDIATE")
            number = db.execute(
                "SELECT COALESCE(MAX(version), 0) + 1 FROM policies WHERE namespace = ? AND model = ? AND domain = ?",
                self._key,
            ).fetchone()[0]
            body = json.dumps(to_json(adapter))
            db.execute(
                "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*self._key, number, body, parent, reason, time.time()),
            )
        return Policy(number, adapter, parent, reason)

    def use(self, number: int, reason: str = "chosen by hand") -> Policy:
        """Write edits with that version from now on; a choice that holds already is not written again."""
        policy = self.version(number)
        if self.current().version != number:
            with self.home.connect() as db:
                db.execute(
                    "INSERT INTO policy_uses (namespace, model, domain, version, reason, created) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (*self._key, number, reason, time.time()),
                )
        return policy

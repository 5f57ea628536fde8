"""The passages of documents that were read in a namespace, the names of the documents, and the passages' outcomes.

A passage is stored as a digest of its text, by which it is recognised when its document is read again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, select, update

from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.redaction import lost_secret, redacted_name, without_marks
from seal_agent.storage.connection import Database, Transaction
from seal_agent.storage.expressions import add_missing, is_one_of, put
from seal_agent.storage.schema import DOCUMENT_NAMES, PASSAGES

SETTLED = ("ignored", "declined")  # a passage with one of these outcomes is not tried again
_FORMER = r"(?:document|attachment) {} [0-9a-f]{{16}}"  # former format of names that held a content hash
_COLUMNS = ("namespace", "source", "digest", "outcome", "adapter", "created")


@dataclass(frozen=True)
class KnownDocument:
    """A document that was read before, with counts of its passages."""

    source: str
    num_passages: int
    num_learned: int


@dataclass(frozen=True)
class Difference:
    """A document compared with its earlier version: new passages, known ones, and how many are gone."""

    fresh: tuple[Passage, ...]
    known: tuple[Passage, ...]
    num_gone: int


def digest_of(text: str) -> str:
    """The SHA-256 of a passage, which identifies it without storing its text."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def digests_of(passages: Sequence[Passage]) -> list[str]:
    """The digests of passages, computed after secrets are removed."""
    return [digest_of(passage.text) for passage in passages]


def document_name(name: str) -> str:
    """The stored name of a document: the file URI of an absolute path, without secrets."""
    return redacted_name(_uri_of(name))


def _uri_of(name: str) -> str:
    """The file URI of an absolute path; other names unchanged, such as the address //example.org/page."""
    if name.startswith("//"):
        return name
    try:
        path = Path(name)
        return path.resolve().as_uri() if path.is_absolute() else name
    except ValueError:  # a null byte
        return name


def is_version_of(source: str, other: str) -> bool:
    """Whether `other` names the same document as `source`, also in the form that older versions of this package stored.

    Older versions left no mark of a removed secret in a name, and stored a path as it was given.
    """
    return other == source or _is_former_name(source, other)


@lru_cache(maxsize=4096)
def _is_former_name(source: str, other: str) -> bool:
    was_unmarked = lost_secret(source) and unquote(without_marks(source)) == unquote(other)
    was_unchanged = (lost_secret(source) or source.startswith("file:")) and document_name(other) == source
    return was_unmarked or was_unchanged or re.fullmatch(_FORMER.format(re.escape(source)), other) is not None


def record(tx: Transaction, episode: Episode) -> None:
    """Record the outcome of a document's passage."""
    adapter = episode.adapter.id if episode.adapter and episode.outcome == "accepted" else ""
    values = (episode.namespace, episode.source, digest_of(episode.text), episode.outcome, adapter, time.time())
    put(tx, PASSAGES, [dict(zip(_COLUMNS, values, strict=True))])


def known_documents(database: Database, namespace: str) -> list[KnownDocument]:
    """The documents that were read in a namespace, oldest first."""
    num_learned = func.sum(case((PASSAGES.c.adapter != "", 1), else_=0))
    wanted = (
        select(PASSAGES.c.source, func.count(), num_learned)
        .where(_of(namespace))
        .group_by(PASSAGES.c.source)
        .order_by(func.min(PASSAGES.c.created), PASSAGES.c.source)
    )
    with database.reading() as db:
        return [KnownDocument(*row) for row in db.execute(wanted)]


def num_passages(database: Database, namespace: str, source: str) -> int:
    """The number of passages read from a document."""
    with database.reading() as db:
        wanted = select(func.count()).select_from(PASSAGES).where(_of(namespace), PASSAGES.c.source == source)
        return int(db.execute(wanted).scalar_one())


def compare(
    database: Database, namespace: str, served: Collection[str], source: str, passages: Sequence[Passage]
) -> Difference:
    """Compare a document with what is known: new passages, known ones, and those of its last version that are gone.

    Known are passages learned by an adapter that is still among `served`, from this document or another, and passages
    whose outcome is final.
    """
    wanted = select(PASSAGES.c.source, PASSAGES.c.digest, PASSAGES.c.outcome, PASSAGES.c.adapter).where(_of(namespace))
    with database.reading() as db:
        rows = db.execute(wanted).all()
    ids = set(served)
    settled = {digest for _, digest, outcome, adapter in rows if adapter in ids or outcome in SETTLED}
    by_digest = {digest: replace(p, source=source) for digest, p in zip(digests_of(passages), passages, strict=True)}
    gone = {digest for other, digest, *_ in rows if is_version_of(source, other)} - set(by_digest)
    return Difference(
        fresh=tuple(passage for digest, passage in by_digest.items() if digest not in settled),
        known=tuple(passage for digest, passage in by_digest.items() if digest in settled),
        num_gone=len(gone),
    )


def digests_of_document(db: Connection, namespace: str, source: str) -> set[str]:
    """The digests of the passages of a document, under all its names."""
    rows = db.execute(select(PASSAGES.c.source, PASSAGES.c.digest).where(_of(namespace)))
    return {digest for other, digest in rows if is_version_of(source, other)}


def digests_in(database: Database, namespace: str, sources: Collection[str], *, by_others: bool = False) -> set[str]:
    """The digests of the passages of those documents, or with `by_others` of all other documents."""
    with database.reading() as db:
        rows = db.execute(select(PASSAGES.c.source, PASSAGES.c.digest).where(_of(namespace))).all()
    return {digest for source, digest in rows if (source in sources) != by_others}


def known_as(database: Database, namespace: str, name: str) -> str:
    """The source of the document that has `name` as a second name, else `document_name(name)`."""
    called = document_name(name)
    names = (called, name, unquote(called.removeprefix("file://")))  # older versions stored a path as it was given
    c = DOCUMENT_NAMES.c
    is_read = (
        select(PASSAGES.c.digest).where(PASSAGES.c.namespace == c.namespace, PASSAGES.c.source == c.source).exists()
    )
    with database.reading() as db:
        source = db.execute(select(c.source).where(c.namespace == namespace, c.name.in_(names), is_read)).scalar()
        read = _sources(db, namespace)
    if source is not None:
        return str(source)
    versions = [other for other in read if is_version_of(called, other)]
    return next((other for other in (called, name) if other in versions), versions[0] if versions else called)


def identified(
    database: Database, namespace: str, source: str, digests: Sequence[str], *, keeps_name: bool
) -> tuple[str, str]:
    """The stored source of a document that is given as `source`, and a note for the giver.

    A full name and a short one mean one document if the short one ends the full one and both had the same content.
    Two full names are two files, even with equal content. With `keeps_name` a second name is stored.
    """
    known = _digests_by_source(database, namespace)
    if any(is_version_of(source, other) for other in known):
        return source, ""
    if (first := known_as(database, namespace, source)) != source:
        return first, ""
    same_text = [other for other, held in known.items() if digests and held == set(digests)]
    namesakes = [other for other in known if _are_long_and_short(source, other)]
    both = [other for other in same_text if other in namesakes]
    if len(both) == 1:
        if keeps_name:
            with database.transaction() as tx:
                put(tx, DOCUMENT_NAMES, [{"namespace": namespace, "name": source, "source": both[0]}])
        return both[0], f"{source} is the document {both[0]}, which was read before"
    if same_text:
        return source, f"{source} was read before as {same_text[0]} and is not learned twice"
    if namesakes:
        return source, (
            f"{source} is learned beside {namesakes[0]}, which has the same name and another text; if it is a new "
            f"version, give it as {namesakes[0]}, or forget the old one"
        )
    return source, ""


def _digests_by_source(database: Database, namespace: str) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    with database.reading() as db:
        for source, digest in db.execute(select(PASSAGES.c.source, PASSAGES.c.digest).where(_of(namespace))):
            held.setdefault(source, set()).add(digest)
    return held


def _are_long_and_short(name: str, other: str) -> bool:
    """Whether one name is a path or an address and the other its last component."""
    long, short = sorted((unquote(name), unquote(other)), key=lambda each: "/" in each, reverse=True)
    return "/" in long and "/" not in short and long.rpartition("/")[2] == short


def same_documents(database: Database, namespace: str, sources: Collection[str]) -> set[str]:
    """Those sources, and the names that these documents have now."""
    with database.reading() as db:
        names = _sources(db, namespace)
    sources = {*sources, *(known_as(database, namespace, source) for source in sources)}
    return {*sources, *(name for name in names if any(is_version_of(name, source) for source in sources))}


def adopt(database: Database, namespace: str, source: str) -> None:
    """Assign passages that were stored under a former name of this document to its current name."""
    with database.transaction() as tx:
        for former in _sources(tx, namespace):
            if former == source or not is_version_of(source, former):
                continue
            which = and_(_of(namespace), PASSAGES.c.source == former)
            rows = tx.execute(select(PASSAGES).where(which)).mappings().all()
            add_missing(tx, PASSAGES, [{**row, "source": source} for row in rows])
            tx.execute(delete(PASSAGES).where(which))


def add_source(database: Database, namespace: str, known: Sequence[Passage]) -> None:
    """Record that a document also holds passages learned from another one: they are forgotten when both are gone."""
    with database.transaction() as tx:
        for passage in known:
            of_digest = select(PASSAGES).where(_of(namespace), PASSAGES.c.digest == digest_of(passage.text))
            row = tx.execute(of_digest.order_by(PASSAGES.c.adapter.desc()).limit(1)).mappings().first()
            if row:
                add_missing(tx, PASSAGES, [{**row, "source": passage.source}])


def digests_only_in(database: Database, namespace: str, source: str, *, but: Collection[str] = ()) -> set[str]:
    """The digests of passages that no other document holds, without those in `but`."""
    other = PASSAGES.alias("other")
    is_shared = (
        select(other.c.digest)
        .where(other.c.namespace == PASSAGES.c.namespace, other.c.digest == PASSAGES.c.digest)
        .where(other.c.source != PASSAGES.c.source)
        .exists()
    )
    wanted = select(PASSAGES.c.digest).where(_of(namespace), PASSAGES.c.source == source, ~is_shared)
    with database.reading() as db:
        return set(db.execute(wanted).scalars()) - set(but)


def remove_passages(tx: Transaction, namespace: str, source: str, *, but: Collection[str] = ()) -> None:
    """Delete the records of a document's passages, except the digests in `but`."""
    which = and_(_of(namespace), PASSAGES.c.source == source)
    tx.execute(delete(PASSAGES).where(which, ~is_one_of(PASSAGES.c.digest, list(but))))


def remove_texts(tx: Transaction, namespace: str, texts: Collection[str]) -> None:
    """Delete the records of these texts in all documents."""
    digests = [digest_of(text) for text in texts]
    tx.execute(delete(PASSAGES).where(_of(namespace), is_one_of(PASSAGES.c.digest, digests)))


def rename_adapter(tx: Transaction, namespace: str, old: str, new: str) -> None:
    """Transfer an adapter's passages to the one that was trained anew in its place."""
    tx.execute(update(PASSAGES).where(_of(namespace), PASSAGES.c.adapter == old).values(adapter=new))


def _sources(db: Connection, namespace: str) -> list[str]:
    return list(db.execute(select(PASSAGES.c.source).where(_of(namespace)).distinct()).scalars())


def _of(namespace: str) -> ColumnElement[bool]:
    return PASSAGES.c.namespace == namespace

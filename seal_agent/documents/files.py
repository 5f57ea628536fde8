"""Documents: files, bytes and texts to plain text and passages.

`text_of` reads every kind of document and `document_of` identifies it. Plain text and Markdown need no extra; PDF and
HTML need the extra `documents`. Scanned pages are not read. `seal_agent.storage.documents` stores which passages are
known.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from mimetypes import MimeTypes
from pathlib import Path

from seal_agent.core.characters import whole
from seal_agent.core.documents import Passage
from seal_agent.core.errors import InputError, MissingExtra
from seal_agent.documents.markdown import read_markdown
from seal_agent.documents.markup import Reading, read_html
from seal_agent.documents.passages import divide, read_document
from seal_agent.language.values import LeftOut
from seal_agent.storage.connection import Database
from seal_agent.storage.documents import digest_of, digests_of, document_name, identified

MARKDOWN, HTML, PDF, TEXT = "text/markdown", "text/html", "application/pdf", "text/plain"
KINDS = {".md": MARKDOWN, ".markdown": MARKDOWN, ".html": HTML, ".htm": HTML, ".xhtml": HTML, ".pdf": PDF}
TYPES = {"markdown": MARKDOWN, "text/x-markdown": MARKDOWN, "html": HTML, "application/xhtml+xml": HTML, "text": TEXT}
"""Other names of the content types that a sender may give."""
KNOWN = ("known", "was read before")  # outcome and reason of a passage that is not learned again
MAX_COMMENTS = 9  # comments before a page's first tag
_MARKED_DOWN = re.compile(
    r"^#{1,6} +\S|^ {0,3}(?:```|~~~)|\]\([^()\s]+\)|^ {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:?)? *$", re.MULTILINE
)  # a heading, a fence, a link, or the line below a table's head
_PAGE = re.compile(r"<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_BLOCK = r"(?:p|div|h[1-6]|ul|ol|dl|table|article|section|main)"
_OPENED, _CLOSED = (re.compile(rf"<{slash}{_BLOCK}\b[^<>]*>", re.IGNORECASE) for slash in ("", "/"))
_SPACE = re.compile(r"\s*")
_TAG = re.compile(r"</?[a-z][a-z0-9]*\b[^<>]*>", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")


@dataclass(frozen=True)
class Document:
    """A text and its source: a URI or a name, without secrets.

    `left_out`: other parts of the file, and why they are not read.
    """

    text: str
    source: str
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", whole(self.text))
        object.__setattr__(self, "source", document_name(whole(self.source)))


def document_of(text: str, name: str = "", kind: str = "text", *, left_out: tuple[LeftOut, ...] = ()) -> Document:
    """The document that `text` is a version of, identified by its name within the namespace.

    `name` is a file's URI, a URL, the name of an attachment or the title of a post. A document replaces an earlier one
    of the same name, however either was given: an edited file that is attached again replaces the old version, also in
    another conversation, and so do two files that are both called "notes.md". Without a name the document is named by
    its `kind` and content, and replaces nothing. A secret in a name, such as in a download address, is replaced by a
    mark (`redacted_name`). An absolute path becomes its file URI.

    A file has a full name (file:///home/ann/hall.md) when it is ingested and a short one (hall.md) when it is
    attached. Once the same content has come under both, they are two names of one document (`identified`). A short name
    alone is no proof: another text under it is another document, and a note tells the giver.
    """
    return Document(text, name.strip() or f"{kind} {digest_of(whole(text))[:16]}", left_out)


def together(first: Document, second: Document, between: str) -> Document:
    """Join two parts of one document, such as pages."""
    return Document(f"{first.text}{between}{second.text}", first.source, (*first.left_out, *second.left_out))


def read_file(path: Path) -> Document:
    """A file of text, Markdown, HTML or PDF; its source is its URI. Raises `InputError` if it has no text."""
    kind = KINDS.get(path.suffix.lower(), TEXT)
    if kind in (TEXT, MARKDOWN):
        reading = read(read_document(path), kind, str(path))
    else:
        try:
            reading = read(path.read_bytes(), kind, str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a document") from error
    if not reading.text.strip():
        raise InputError(f"{path} has no text; a scanned page needs character recognition (OCR) first")
    return document_of(reading.text, path.resolve().as_uri(), left_out=reading.left_out)


def text_of(data: bytes | str, kind: str, name: str) -> str:
    """The plain text of a document (`read`)."""
    return read(data, kind, name).text


def read(data: bytes | str, kind: str, name: str) -> Reading:
    """The plain text of a document, and the parts that are left out.

    `kind` is the MIME type; by default it is derived from the ending of `name`, else from the content. `name` also
    appears in errors: `InputError`, and `MissingExtra` for a missing extra.
    """
    said = kind.partition(";")[0].strip().lower()
    kind, named = TYPES.get(said, said), _kind_of_name(name)
    if isinstance(data, bytes):
        if binary := BINARY.get(kind or named):
            return Reading(binary(data, name))
        text = _decoded(data, kind, name)
    else:
        text = whole(data).removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kind = kind or _kind_of_text(text, named)
    if kind == HTML:
        return read_html(text, name)
    if kind == MARKDOWN:
        return read_markdown(text)
    if not kind.startswith("text/"):
        raise InputError(f"{name} is {kind}; give text, Markdown, HTML, or the bytes of a PDF")
    return Reading(text)


def _decoded(data: bytes, kind: str, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is {kind or 'a file'} but not UTF-8 text (byte {error.start}); convert it first"
        ) from error


def _kind_of_name(name: str) -> str:
    """The kind given by the ending of a file name or URL; "" if it gives none."""
    _, is_url, address = name.partition("://")
    path = re.split(r"[?#]", address)[0].partition("/")[2] if is_url else name
    ending = Path(path).suffix.lower()
    known = MimeTypes().guess_type(f"x{ending}")[0] or ""
    return KINDS.get(ending, TEXT if known.startswith("text/") else "")


def _kind_of_text(text: str, named: str) -> str:
    """The kind of a text by its content; a file name alone does not make a text without tags HTML."""
    if named in (TEXT, MARKDOWN):
        return named
    opened = _OPENED.search(text)
    has_block = opened is not None and _CLOSED.search(text, opened.end()) is not None
    begins_with_tag = _OPENED.match(text, _begin(text)) is not None
    if _PAGE.match(text, _begin(text)) or (has_block and begins_with_tag) or (named == HTML and _TAG.search(text)):
        return HTML
    if _FRONT_MATTER.match(text) or _MARKED_DOWN.search(text):
        return MARKDOWN
    return HTML if has_block else TEXT


def _begin(text: str) -> int:
    """Where a text begins after white space, comments and an XML declaration."""
    place = _SPACE.match(text, 0).end()  # type: ignore[union-attr]  # it matches empty text too
    for begin, end in (("<?xml", "?>"), *[("<!--", "-->")] * MAX_COMMENTS):
        if text.startswith(begin, place) and (closed := text.find(end, place)) >= 0:
            place = _SPACE.match(text, closed + len(end)).end()  # type: ignore[union-attr]
    return place


@dataclass(frozen=True)
class Read:
    """A document in passages.

    `left_out`: parts that are not learned. `note`: a remark about its name for the giver, or "".
    """

    source: str
    passages: tuple[Passage, ...]
    left_out: tuple[LeftOut, ...] = ()
    note: str = ""


def divided(home: Database, namespace: str, document: Document, *, title: str = "", keeps_name: bool = True) -> Read:
    """A document in passages, under its stored name (`identified`).

    With `keeps_name` a second name of a document is stored.
    """
    found = divide(document.text, title=title)
    source, note = identified(home, namespace, document.source, digests_of(found.passages), keeps_name=keeps_name)
    passages = tuple(replace(passage, source=source) for passage in found.passages)
    return Read(source, passages, (*document.left_out, *found.left_out), note)


def check_size(num_passages: int, name: str, max_passages: int) -> None:
    """Raise `InputError` for a document with too many passages: each one becomes an edit."""
    if num_passages > max_passages:
        raise InputError(
            f"{name} has {num_passages} passages to learn, more than {max_passages}; split it, or raise "
            "max_passages (`seal-agent ingest --max-passages`)"
        )


def _pdf(data: bytes, name: str) -> str:
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise MissingExtra("PDF files need pypdf; pip install 'seal-agent[documents]'") from error
    try:
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]
    except Exception as error:  # pypdf raises many kinds of errors for a damaged file
        raise InputError(f"{name} cannot be read as PDF: {error}; repair it or remove its password") from error
    return _HYPHEN.sub("", "\n".join(pages))  # a sentence may continue on the next page


BINARY: Mapping[str, Callable[[bytes, str], str]] = {PDF: _pdf}
"""The types whose bytes are no text, each with the function that reads their text; it also takes the name."""

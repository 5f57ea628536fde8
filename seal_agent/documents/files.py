"""Documents: files, bytes and texts into plain text and passages.

Whatever way a document comes in, `text_of` reads it and `document_of` says which document it is. Plain text needs
nothing, Markdown what the command line brings; PDF and HTML need the extra `documents`. Scanned pages are not read.
Which passages of a document are known, new or gone is kept in `seal_agent.storage.documents`.
"""

from __future__ import annotations

import io
import re
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
"""Other names of the kinds that a sender may give."""
KNOWN = ("known", "was read before")  # the outcome of a passage that is not learned again, and why
MAX_COMMENTS = 9  # before a page begins
_MARKED_DOWN = re.compile(
    r"^#{1,6} +\S|^ {0,3}(?:```|~~~)|\]\([^()\s]+\)|^ {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:?)? *$", re.MULTILINE
)  # a heading, a fence, a link, the line below the names of a table
_PAGE = re.compile(r"<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_BLOCK = r"(?:p|div|h[1-6]|ul|ol|dl|table|article|section|main)"
_OPENED, _CLOSED = (re.compile(rf"<{slash}{_BLOCK}\b[^<>]*>", re.IGNORECASE) for slash in ("", "/"))
_SPACE = re.compile(r"\s*")
_TAG = re.compile(r"</?[a-z][a-z0-9]*\b[^<>]*>", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")


@dataclass(frozen=True)
class Document:
    """A text, and where it comes from: a URI or a name, without a secret that stands in it.

    `left_out`: what stands in it besides the text, and why that is not read.
    """

    text: str
    source: str
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", whole(self.text))
        object.__setattr__(self, "source", document_name(whole(self.source)))


def document_of(text: str, name: str = "", kind: str = "text", *, left_out: tuple[LeftOut, ...] = ()) -> Document:
    """The document that `text` is a version of: within a namespace a document is what its giver calls it.

    `name` is a file's URI, a URL, the name of an attachment or the title of a post. What comes under a name that was
    read before replaces that version, whichever way either came in: an edited file that is attached again replaces the
    old one, also in another conversation, and two files that are both called "notes.md" replace each other. Without a
    name the content names a document, with its `kind` in front, and nothing is replaced. A secret in a name, as in the
    address of a download, is taken out, and a mark of it left (`redacted_name`). An absolute path is its file URI.

    A file has a full name (file:///home/ann/hall.md) where it is ingested and a short one (hall.md) where it is
    attached. Once the same content has come under both, they are two names of one document (`identified`). A short name
    alone is no proof: another text under it is another document, and the giver is told so.
    """
    return Document(text, name.strip() or f"{kind} {digest_of(whole(text))[:16]}", left_out)


def together(first: Document, second: Document, between: str) -> Document:
    """Two parts of one document, such as its pages."""
    return Document(f"{first.text}{between}{second.text}", first.source, (*first.left_out, *second.left_out))


def read_file(path: Path) -> Document:
    """A file of text, Markdown, HTML or PDF; its source is its URI. Raises `InputError` for one that has no text."""
    kind = KINDS.get(path.suffix.lower(), TEXT)
    if kind in (PDF, HTML):
        try:
            reading = read(path.read_bytes(), kind, str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a document") from error
    else:
        reading = read(read_document(path), kind, str(path))
    if not reading.text.strip():
        raise InputError(f"{path} holds no text; a scanned page must go through character recognition first")
    return document_of(reading.text, path.resolve().as_uri(), left_out=reading.left_out)


def text_of(data: bytes | str, kind: str, name: str) -> str:
    """The plain text of a document (`read`)."""
    return read(data, kind, name).text


def read(data: bytes | str, kind: str, name: str) -> Reading:
    """The plain text of a document, and what stands in it besides.

    `kind` is its MIME type; empty: what `name` ends with says it, else what is in it. `name` is for the errors too:
    `InputError`, and `MissingExtra` of an extra.
    """
    said = kind.partition(";")[0].strip().lower()
    kind, named = TYPES.get(said, said), _kind_of_name(name)
    if isinstance(data, bytes):
        if (kind or named) == PDF:
            return Reading(_pdf(data, name))
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
    """The kind that a file's name or a URL ends with; "" where that says nothing."""
    _, is_url, address = name.partition("://")
    path = re.split(r"[?#]", address)[0].partition("/")[2] if is_url else name
    ending = Path(path).suffix.lower()
    known = MimeTypes().guess_type(f"x{ending}")[0] or ""
    return KINDS.get(ending, TEXT if known.startswith("text/") else "")


def _kind_of_text(text: str, named: str) -> str:
    """What a text without a stated kind is written in; a name alone does not make HTML of text without any tag."""
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
    """Where a text begins after white space, comments and the declaration of XML."""
    place = _SPACE.match(text, 0).end()  # type: ignore[union-attr]  # it matches the empty text too
    for begin, end in (("<?xml", "?>"), *[("<!--", "-->")] * MAX_COMMENTS):
        if text.startswith(begin, place) and (closed := text.find(end, place)) >= 0:
            place = _SPACE.match(text, closed + len(end)).end()  # type: ignore[union-attr]
    return place


@dataclass(frozen=True)
class Read:
    """A document in passages, as it is known in a namespace.

    `left_out`: what stands in it and is not learned. `note`: what its giver should know about its name, or "".
    """

    source: str
    passages: tuple[Passage, ...]
    left_out: tuple[LeftOut, ...] = ()
    note: str = ""


def divided(home: Database, namespace: str, document: Document, *, title: str = "", keeps_name: bool = True) -> Read:
    """A document in passages, under the name that it is known by (`identified`).

    With `keeps_name` a second name of a document is written down.
    """
    found = divide(document.text, title=title)
    source, note = identified(home, namespace, document.source, digests_of(found.passages), keeps_name=keeps_name)
    passages = tuple(replace(passage, source=source) for passage in found.passages)
    return Read(source, passages, (*document.left_out, *found.left_out), note)


def check_size(num_passages: int, name: str, max_passages: int) -> None:
    """Raise `InputError` for a document of more passages than are taken at once: each takes an edit of its own."""
    if num_passages > max_passages:
        raise InputError(
            f"{name} has {num_passages} passages to learn, and {max_passages} are taken at most; split it, or raise "
            "max_passages (`seal-agent ingest --max-passages`)"
        )


def _pdf(data: bytes, name: str) -> str:
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise MissingExtra("PDF files need pypdf; pip install 'seal-agent[documents]'") from error
    try:
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]
    except Exception as error:  # pypdf raises whatever a damaged file makes it stumble over
        raise InputError(f"{name} cannot be read as PDF: {error}; repair it or take its password off") from error
    return _HYPHEN.sub("", "\n".join(pages))  # a sentence may go over the page

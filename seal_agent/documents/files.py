"""Documents: files, bytes and texts into plain text.

Whatever way a document comes in, `text_of` reads it and `document_of` says which document it is. Plain text needs
nothing, Markdown what the command line brings; PDF and HTML need the extra `documents`. Scanned pages are not read.
Which passages of a document are known is kept in `seal_agent.storage.documents`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any

from seal_agent.core.errors import InputError, MissingExtra
from seal_agent.core.redaction import redacted
from seal_agent.documents.passages import is_heading, read_document
from seal_agent.language.sentences import full_stop
from seal_agent.storage.documents import digest_of

MARKDOWN, HTML, PDF, TEXT = "text/markdown", "text/html", "application/pdf", "text/plain"
KINDS = {".md": MARKDOWN, ".markdown": MARKDOWN, ".html": HTML, ".htm": HTML, ".xhtml": HTML, ".pdf": PDF}
TYPES = {"markdown": MARKDOWN, "text/x-markdown": MARKDOWN, "html": HTML, "application/xhtml+xml": HTML, "text": TEXT}
"""Other names of the kinds that a sender may give."""
KNOWN = ("known", "was read before")  # the outcome of a passage that is not learned again, and why
NO_TEXT = ("title", "script", "style", "noscript", "template", "nav", "footer", "svg", "form", "button", "pre", "head")
BLOCKS = ("h1", "h2", "h3", "h4", "h5", "h6", "p", "div", "section", "article", "ul", "ol", "dl", "table", "blockquote")
LINES = ("li", "tr", "dd")
AFTER = {"br": "\n", "td": " ", "th": " ", **dict.fromkeys(LINES, "\n"), **dict.fromkeys(BLOCKS, "\n\n"), "dt": ": "}
VALUES = ("value", "values", "description", "details", "information", "answer")  # names of a column that say nothing
MAX_COMMENTS = 9  # before a page begins
NO_VALUE = ("", "n/a", "-", "–", "—")
_PARTED = re.compile(r"^([^,()]+), ([^,()]+)$")
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
    """A text, and where it comes from: a URI or a name, without a secret that stands in it."""

    text: str
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", redacted(self.source))


def document_of(text: str, name: str = "", kind: str = "text") -> Document:
    """The document that `text` is a version of: within a namespace a document is what its giver calls it.

    `name` is a file's URI, a URL, the name of an attachment or the title of a post. What comes under a name that was
    read before replaces that version, whichever way either came in: an edited file that is attached again replaces the
    old one, also in another conversation, and two files that are both called "notes.md" replace each other. Without a
    name the content names a document, with its `kind` in front, and nothing is replaced. A secret in a name, as in the
    address of a download, is taken out: what is kept of a passage is kept without.
    """
    return Document(text, name.strip() or f"{kind} {digest_of(text)[:16]}")


def read_file(path: Path) -> Document:
    """A file of text, Markdown, HTML or PDF; its source is its URI. Raises `InputError` for one that has no text."""
    kind = KINDS.get(path.suffix.lower(), TEXT)
    if kind in (PDF, HTML):
        try:
            text = text_of(path.read_bytes(), kind, str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a document") from error
    else:
        text = text_of(read_document(path), kind, str(path))
    if not text.strip():
        raise InputError(f"{path} holds no text; a scanned page must go through character recognition first")
    return document_of(text, path.resolve().as_uri())


def text_of(data: bytes | str, kind: str, name: str) -> str:
    """The plain text of a document.

    `kind` is its MIME type; empty: what `name` ends with says it, else what is in it. `name` is for the errors too:
    `InputError`, and `MissingExtra` of an extra.
    """
    said = kind.partition(";")[0].strip().lower()
    kind, named = TYPES.get(said, said), _kind_of_name(name)
    if isinstance(data, bytes):
        if (kind or named) == PDF:
            return _pdf(data, name)
        text = _decoded(data, kind, name)
    else:
        text = data.encode("utf-8", "replace").decode("utf-8-sig")  # a lone surrogate is no character
    kind = kind or _kind_of_text(text, named)
    if kind == HTML:
        return _html(text, name)
    if kind == MARKDOWN:
        return _markdown(text)
    if not kind.startswith("text/"):
        raise InputError(f"{name} is {kind}; give text, Markdown, HTML, or the bytes of a PDF")
    return text


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


HTML_NEEDS = "HTML files need beautifulsoup4 and lxml; pip install 'seal-agent[documents]'"


def _html(text: str, name: str) -> str:
    try:
        from bs4 import BeautifulSoup, FeatureNotFound
        from bs4.element import NavigableString, Tag
        from bs4.exceptions import ParserRejectedMarkup
    except ImportError as error:
        raise MissingExtra(HTML_NEEDS) from error
    try:
        soup: Any = BeautifulSoup(text, "lxml")  # it closes what the page leaves open; Python's own parser does not
    except FeatureNotFound as error:
        raise MissingExtra(HTML_NEEDS) from error
    except ParserRejectedMarkup as error:
        raise InputError(f"{name} cannot be read as HTML: {error}; save it anew or as text") from error
    for table in soup.find_all("table"):
        if not table.find("table"):  # one around others is for the layout
            table.replace_with(_list_of(soup, table))
    pieces: list[str] = []
    inside: list[tuple[Tag, int]] = []  # the tags that are open, and which piece each begins with
    said, last = -1, ""  # the last piece that says something, and its last character
    hidden = 0  # how many of the open tags hold no text
    for node in chain((soup.find("main") or soup.find("article") or soup.body or soup).descendants, [None]):
        while inside and (node is None or node.parent is not inside[-1][0]):
            tag, begun = inside.pop()
            hidden -= tag.name in NO_TEXT
            if tag.name in LINES and said >= begun:
                pieces.append(full_stop(last))
            pieces.append(AFTER.get(tag.name, ""))
        if isinstance(node, Tag):
            pieces.append("\n\n" if node.name in BLOCKS else "")
            inside.append((node, len(pieces)))
            hidden += node.name in NO_TEXT
        elif type(node) is NavigableString and not hidden:  # comments are other types
            pieces.append(re.sub(r"\s+", " ", node))
            if node.strip():
                said, last = len(pieces) - 1, node.strip()[-1]
    title, heading = (" ".join(tag.get_text().split()) if tag else "" for tag in (soup.title, soup.h1))
    return _under(title, heading, _tidy("".join(pieces)))


def _under(title: str, heading: str, told: str) -> str:
    """A page under its title, which names the site too, unless its first line or the text is that already.

    Its main heading stands on the same line: both are what all of the page is about.
    """
    first, _, rest = told.partition("\n")
    if not told or not is_heading(title) or title.lower() in first.lower():
        return told
    whole = f"{title}, {first}"
    return f"{whole}\n{rest}" if first == heading and rest and is_heading(whole) else f"{title}\n\n{told}"


def _list_of(soup: Any, table: Any) -> Any:
    """A list in the place of an HTML table, an item for every sentence."""
    for hidden in table.find_all(NO_TEXT):
        hidden.decompose()
    rows = [row.find_all(("td", "th")) for row in table.find_all("tr")]
    has_names = bool(rows) and (table.find("thead") is not None or all(cell.name == "th" for cell in rows[0]))
    said = [
        [
            " ".join(" ".join(part for part in cell.strings if part.find_parent(("td", "th")) is cell).split())
            for cell in row
        ]
        for row in rows
    ]
    told = soup.new_tag("ul")
    for line in _told(said, has_names=has_names):
        told.append(soup.new_tag("li", string=line))
    return told


def _markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    lines: list[str] = []
    depth = 0
    table: list[list[str]] = []  # rows of cells, while one is open
    for token in MarkdownIt("commonmark").enable("table").parse(_FRONT_MATTER.sub("", text)):
        if token.type in ("list_item_open", "list_item_close"):
            depth += token.nesting
        elif token.type == "tr_open":
            table.append([])
        elif token.type == "table_close":
            lines += [f"{line}\n" for line in _told(table, has_names=True)] + ["\n"]
            table = []
        elif token.type == "inline":
            said = "".join(_inline(child) for child in token.children or ())
            if table:
                table[-1].append(" ".join(said.split()))
            else:
                lines.append(said + (f"{full_stop(said)}\n" if depth else "\n\n"))
        elif token.nesting < 0 and token.type.endswith("list_close"):
            lines.append("\n")
    return _tidy("".join(lines))


def _told(rows: Sequence[Sequence[str]], *, has_names: bool) -> list[str]:
    """A table in sentences: what a row is about, its first cell, with every other cell and the name of its column.

    `has_names`: the first row names the columns; one of a single cell is a caption. In a table of two columns the
    second may be called just "value": then the first cell is a name, and "Range, indoors" of two words one too.
    """
    names = [name[:1].lower() + name[1:] if name[1:].islower() else name for name in rows[0][1:]] if has_names else []
    of_values = len(names) == 1 and names[0].lower() in VALUES
    told: list[str] = []
    about = ""
    for first, *rest in filter(any, rows[1:] if any(names) else rows):
        about = first or about  # an empty cell is of the row above
        cells = [(name, cell) for name, cell in zip_longest(names, rest, fillvalue="") if cell.lower() not in NO_VALUE]
        if of_values:
            named = about if about.endswith("?") else _PARTED.sub(r"\1 (\2):", about).removesuffix(":") + ":"
            told += [f"{named} {cell}" for _, cell in cells]
        elif any(names):
            told += [f"{about}, {name}: {cell}" if name else f"{about}: {cell}" for name, cell in cells]
        else:
            told.append(": ".join(filter(None, [about, ", ".join(cell for _, cell in cells)])))
    return [f"{line}{full_stop(line)}" for line in told]


def _inline(token: Any) -> str:
    """What is read of a piece of a Markdown line: its words, not its marks, pictures or tags."""
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return str(token.content) if token.type in ("text", "code_inline") else ""


def _tidy(text: str) -> str:
    lines = [re.sub(r"[ \t]+([.]?)$", r"\1", re.sub(r"[ \t]+", " ", line)).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

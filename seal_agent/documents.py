"""Documents: files and bytes into text, and which passages of a document are known, new or gone.

Plain text needs nothing, Markdown what the command line brings; PDF and HTML need the extra `documents`. Scanned pages
are not read. A passage is recognised by its text: where a document changed, its other passages stay as they are.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seal_agent.errors import InputError, MissingExtra
from seal_agent.home import digest_of
from seal_agent.passages import Passage, full_stop, is_heading, read_document
from seal_agent.secrets import redacted

if TYPE_CHECKING:
    from seal_agent.home import Home
    from seal_agent.learner import Learner

MARKDOWN, HTML, PDF, TEXT = "text/markdown", "text/html", "application/pdf", "text/plain"
KINDS = {".md": MARKDOWN, ".markdown": MARKDOWN, ".html": HTML, ".htm": HTML, ".pdf": PDF}
KNOWN = ("known", "was read before")  # the outcome of a passage that is not learned again, and why
SETTLED = ("ignored", "declined")  # a passage of these outcomes is not asked about again
NO_TEXT = ("title", "script", "style", "noscript", "template", "nav", "footer", "svg", "form", "button", "pre", "head")
BLOCKS = ("h1", "h2", "h3", "h4", "h5", "h6", "p", "div", "section", "article", "ul", "ol", "dl", "table", "blockquote")
LINES = ("li", "tr", "dd")
AFTER = {"br": "\n", "td": " ", "th": " ", **dict.fromkeys(LINES, "\n"), **dict.fromkeys(BLOCKS, "\n\n"), "dt": ": "}
VALUES = ("value", "values", "description", "details", "information", "answer")  # names of a column that say nothing
NO_VALUE = ("", "n/a", "-", "–", "—")
_PARTED = re.compile(r"^([^,()]+), ([^,()]+)$")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HYPHEN = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")


@dataclass(frozen=True)
class Document:
    """A text, and where it comes from: a URI or a name, without a secret that stands in it."""

    text: str
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", redacted(self.source))


def named(text: str, kind: str = "text") -> Document:
    """A document without an address: its content is its source."""
    return Document(text, f"{kind} {digest_of(text)[:16]}")


@dataclass(frozen=True)
class KnownDocument:
    """A document that was read before, and what became of its passages."""

    source: str
    num_passages: int
    num_learned: int


@dataclass(frozen=True)
class Difference:
    """A document beside what is known of it: passages to be learned, known ones, and how many of the old are gone."""

    fresh: tuple[Passage, ...]
    known: tuple[Passage, ...]
    num_gone: int


def read_file(path: Path) -> Document:
    """A file of text, Markdown, HTML or PDF; its source is its URI. Raises `InputError` for one that has no text."""
    kind = KINDS.get(path.suffix.lower(), TEXT)
    if kind in (PDF, HTML):
        try:
            text = text_of(path.read_bytes(), kind, str(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}; give the path of a document") from error
    else:
        text = read_document(path)
        text = _markdown(text) if kind == MARKDOWN else text
    if not text.strip():
        raise InputError(f"{path} holds no text; a scanned page must go through character recognition first")
    return Document(text, path.resolve().as_uri())


def text_of(data: bytes, kind: str, name: str) -> str:
    """The text of a document of a MIME type; `name` is for the errors: `InputError`, and `MissingExtra` of an extra."""
    if kind == PDF:
        return _pdf(data, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is {kind} but not UTF-8 text (byte {error.start}); convert it first") from error
    if kind == HTML:
        return _html(text, name)
    if kind == MARKDOWN:
        return _markdown(text)
    if not kind.startswith("text/"):
        raise InputError(f"{name} is {kind}; give text, Markdown, HTML or PDF")
    return text


def known_documents(home: Home, namespace: str) -> list[KnownDocument]:
    """The documents that were read in a namespace, the oldest first."""
    with home.connect() as db:
        rows = db.execute(
            "SELECT source, COUNT(*), SUM(adapter <> '') FROM passages WHERE namespace = ? "
            "GROUP BY source ORDER BY MIN(created), source",
            (namespace,),
        ).fetchall()
    return [KnownDocument(*row) for row in rows]


def compare(learner: Learner, source: str, passages: Sequence[Passage]) -> Difference:
    """What of a document is new, what is known and what of its last version is gone.

    Known is what was learned and is still served, from this document or another, and what was settled otherwise.
    """
    served = set(learner.stack.learned)
    with learner.home.connect() as db:
        rows = db.execute(
            "SELECT source, digest, outcome, adapter FROM passages WHERE namespace = ?", (learner.namespace,)
        ).fetchall()
    settled = {digest for _, digest, outcome, adapter in rows if adapter in served or outcome in SETTLED}
    named = {digest_of(passage.text): replace(passage, source=source) for passage in passages}
    gone = {digest for other, digest, *_ in rows if other == source} - set(named)
    return Difference(
        fresh=tuple(passage for digest, passage in named.items() if digest not in settled),
        known=tuple(passage for digest, passage in named.items() if digest in settled),
        num_gone=len(gone),
    )


def claim(learner: Learner, known: Sequence[Passage]) -> None:
    """Write down that a document holds passages that were learned from another: both must go before they do."""
    with learner.home.connect() as db:
        for passage in known:
            db.execute(
                "INSERT OR IGNORE INTO passages SELECT namespace, ?, digest, outcome, adapter, created FROM passages "
                "WHERE namespace = ? AND digest = ? ORDER BY adapter DESC LIMIT 1",
                (passage.source, learner.namespace, digest_of(passage.text)),
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


def _html(text: str, name: str) -> str:
    try:
        from bs4 import BeautifulSoup
        from bs4.element import NavigableString, Tag
        from bs4.exceptions import ParserRejectedMarkup
    except ImportError as error:
        raise MissingExtra("HTML files need beautifulsoup4; pip install 'seal-agent[documents]'") from error
    try:
        soup: Any = BeautifulSoup(text, "html.parser")
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

"""HTML to plain text, in linear time; `markdown` reads Markdown.

Tables become sentences (`tables`), and a heading like "Old model" is repeated in the headings below it. Struck-through
text, code, navigation and text outside of a page's main part are left out, with reasons. Nothing is fetched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from seal_agent.core.errors import InputError, MissingExtra
from seal_agent.documents.passages import MAX_TOPIC_CHARS, is_heading
from seal_agent.documents.tables import Cell, Table, Told, told
from seal_agent.language.base import for_text
from seal_agent.language.sentences import full_stop
from seal_agent.language.values import LeftOut

NEEDS = "HTML files need lxml; pip install 'seal-agent[documents]'"
STRUCK = "it is struck through"
CODE = "it is code or preformatted text"
CONTROL = "it is a control of a form"
HIDDEN = "it is hidden on the page"
OUTSIDE = "it is outside of the page's main part"
PICTURE = "it describes a picture"
NO_WORDS = ("script", "style", "head")  # their text is not for readers
LEFT_OUT = {
    **dict.fromkeys(("s", "del", "strike"), STRUCK),
    "pre": CODE,
    "nav": "it is navigation",
    "footer": "it is the foot of the page",
    "svg": PICTURE,
    "noscript": "it is shown only without scripts",
    "template": HIDDEN,
    **dict.fromkeys(("button", "select", "textarea"), CONTROL),
}
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = (*HEADINGS, "p", "div", "section", "article", "ul", "ol", "dl", "table", "blockquote")
LINES = ("li", "tr", "dd")
AFTER = {
    "br": "\n",
    "td": " ",
    "th": " ",
    "caption": "\n",
    **dict.fromkeys(LINES, "\n"),
    **dict.fromkeys(BLOCKS, "\n\n"),
    "dt": ": ",
}
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """The plain text of a document, and the parts left out, with reasons."""

    text: str
    left_out: tuple[LeftOut, ...] = ()


def tidy(text: str) -> str:
    """`text` without double blanks, blanks at line ends and repeated empty lines."""
    lines = [re.sub(r"[ \t]+([.]?)$", r"\1", re.sub(r"[ \t]+", " ", line)).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _number(said: str | None) -> int:
    """The number of columns or rows that a cell spans; 1 if it is missing or unreadable."""
    digits = re.match(r"\s*(\d{1,5})", said or "")
    return max(int(digits[1]), 1) if digits else 1


def _denies(heading: str) -> bool:
    return for_text(heading).denies_what_follows(heading)


class Sections:
    """The open headings, outermost first: a text belongs to all of them that matter."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self._num = 0

    def enter(self, level: int, heading: str) -> str:
        """Open a section; returns its heading, preceded by outer ones that deny what follows ("Old model, Weight")."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        above = [text for _, text in self._open if _denies(text)]
        self._num += 1
        self._open.append((level, heading if is_heading(heading) else ""))
        whole = ", ".join([*above, heading])
        return whole if is_heading(whole) else heading

    @property
    def of_table(self) -> str:
        """The context of a table's rows: the nearest heading, unless it is that of the whole page."""
        if not self._open or self._num == 1:
            return ""
        *above, (_, nearest) = self._open
        return ", ".join([*(text for _, text in above if _denies(text)), *([nearest] if nearest else [])])


@dataclass
class _OpenTable:
    """A table that is not closed yet."""

    rows: list[list[Cell]] = field(default_factory=list)
    caption: list[str] = field(default_factory=list)
    cell: list[str] | None = None  # the text pieces of the open cell
    attributes: Mapping[str, str] = field(default_factory=dict)
    num_head: int = 0  # rows in <thead>
    is_in_head: bool = False
    is_in_caption: bool = False

    def end_cell(self, tag: str) -> None:
        if self.cell is not None:
            spans = _number(self.attributes.get("colspan")), _number(self.attributes.get("rowspan"))
            if not self.rows:
                self.rows.append([])
            self.rows[-1].append(Cell(" ".join("".join(self.cell).split()), *spans, is_name=tag == "th"))
        self.cell = None

    def table(self, heading: str) -> Table:
        """The finished table, with its caption or else the `heading` above it."""
        rows = [row for row in self.rows if row]
        num_names = self.num_head
        if not num_names:
            while num_names < len(rows) and all(cell.is_name for cell in rows[num_names]):
                num_names += 1
        caption = " ".join("".join(self.caption).split())
        return Table(rows, num_names, caption or heading)


@dataclass(frozen=True)
class _Tag:
    """An open tag: where its pieces begin, and the reason why its text is left out ("" if it is read)."""

    name: str
    begun: int
    hides: str | None = None


class Page:
    """The handler of lxml's parser events; no tree of the page is built."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.left_out: list[LeftOut] = []
        self.title = self.heading = ""
        self._open: list[_Tag] = []
        self._num_open: Counter[str] = Counter()
        self._hidden: list[str] = []
        self._hides: _Tag | None = None
        self._table: _OpenTable | None = None
        self._sections = Sections()
        self._said, self._last = -1, ""  # the last piece with text, and its last character
        self._titles: list[str] = []
        self._mains: list[tuple[int, int]] = []
        self._articles: list[tuple[int, int]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Handle an opening tag."""
        hides = None if self._hides else self._hides_text(name, attributes)
        if self._hides is None and hides is None:
            self._begin(name, attributes)
        tag = _Tag(name, len(self.pieces), hides)
        self._hides = self._hides or (tag if hides is not None else None)
        self._open.append(tag)
        self._num_open[name] += 1

    def end(self, name: str) -> None:
        """Handle a closing tag; it also closes the tags opened inside."""
        while self._num_open[name]:
            tag = self._open.pop()
            self._num_open[tag.name] -= 1
            self._end(tag)
            if tag.name == name:
                return

    def data(self, text: str) -> None:
        """Handle text between tags."""
        if self._open and self._open[-1].name == "title" and self._num_open["head"]:
            self._titles.append(text)
        elif self._hides:
            self._hidden.append(text)
        elif self._table and self._table.cell is not None:
            self._table.cell.append(text)
        elif self._table and self._table.is_in_caption:
            self._table.caption.append(text)
        else:
            self._say(re.sub(r"\s+", " ", text))

    def close(self) -> None:
        """Handle the end of the page."""
        while self._open:
            self.end(self._open[-1].name)
        self.title = " ".join("".join(self._titles).split())

    @staticmethod
    def _hides_text(name: str, attributes: Mapping[str, str]) -> str | None:
        if name in NO_WORDS:
            return ""
        if "hidden" in attributes or _INVISIBLE.search(attributes.get("style", "")):
            return HIDDEN
        return LEFT_OUT.get(name)

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "table":
            self._lay_out()
            self._table = _OpenTable()
        if name == "input" and attributes.get("type", "").lower() == "checkbox":
            self.data("[x] " if "checked" in attributes else "[ ] ")
        elif name == "img" and attributes.get("alt", "").strip():
            self.left_out.append(LeftOut(" ".join(attributes["alt"].split()), PICTURE))
        elif self._table:
            self._begin_in_table(self._table, name, attributes)
        elif name in BLOCKS:
            self.pieces.append("\n\n")

    def _begin_in_table(self, table: _OpenTable, name: str, attributes: Mapping[str, str]) -> None:
        if name == "tr":
            table.rows.append([])
            table.num_head += table.is_in_head
        elif name == "thead":
            table.is_in_head = True
        elif name == "caption":
            table.is_in_caption = True
        elif name in ("td", "th"):
            table.cell, table.attributes = [], dict(attributes)
        elif table.cell is not None and name in (*BLOCKS, *LINES):
            table.cell.append(" ")

    def _lay_out(self) -> None:
        """Treat a table that contains another one as layout: its content so far becomes text of the page."""
        outer, self._table = self._table, None
        if outer is None:
            return
        self._say("".join(outer.caption))
        for row in outer.rows:
            for cell in row:
                self._say(f"{cell.text} ")
            self.pieces.append("\n")
        if outer.cell is not None:
            self._say(" ".join("".join(outer.cell).split()))

    def _end(self, tag: _Tag) -> None:
        if self._hides:
            if self._hides is tag:
                said = " ".join("".join(self._hidden).split())
                if said and tag.hides:
                    self.left_out.append(LeftOut(said, tag.hides))
                self._hides, self._hidden = None, []
                if tag.name in BLOCKS or tag.hides == CODE:
                    self.pieces.append("\n\n")
            return
        if self._table:
            self._end_in_table(self._table, tag.name)
            return
        if tag.name in HEADINGS:
            self._end_heading(tag)
        elif tag.name in ("main", "article"):
            place = (tag.begun, len(self.pieces))
            (self._mains if tag.name == "main" else self._articles).append(place)
        if tag.name in LINES and self._said >= tag.begun:
            self.pieces.append(full_stop(self._last))
        self.pieces.append(AFTER.get(tag.name, ""))

    def _end_in_table(self, table: _OpenTable, name: str) -> None:
        if name == "table":
            self._table = None
            shown = table.table(self._sections.of_table)
            read = told(shown) if shown.rows else Told([" ".join("".join(table.caption).split())])
            self.left_out.extend(read.left_out)
            self.pieces.append("\n\n")
            for line in read.lines:
                self._say(line)
                self.pieces.append("\n")
            self.pieces.append("\n\n")
        elif name in ("td", "th"):
            table.end_cell(name)
        elif name == "caption":
            table.is_in_caption = False
        elif name == "thead":
            table.is_in_head = False
        elif table.cell is not None and name in AFTER:
            table.cell.append(" ")

    def _end_heading(self, tag: _Tag) -> None:
        pieces = self.pieces[tag.begun : tag.begun + MAX_TOPIC_CHARS]  # a heading has no more pieces
        said = " ".join("".join(pieces).split())
        self.heading = self.heading or (said if tag.name == "h1" else "")
        whole = self._sections.enter(int(tag.name[1]), said)
        if whole != said:
            self.pieces[tag.begun :] = [whole]
            self._said = tag.begun

    def _say(self, text: str) -> None:
        self.pieces.append(text)
        if text.strip():
            self._said, self._last = len(self.pieces) - 1, text.strip()[-1]

    def main_part(self) -> tuple[str, list[str]]:
        """The text of the main part, else of the only article, else of everything; and the lines outside of it."""
        articles = _outermost(self._articles)
        places = _outermost(self._mains) or (articles if len(articles) == 1 else [])
        inside = tidy("\n\n".join("".join(self.pieces[begin:end]) for begin, end in places))
        if not inside:
            return tidy("".join(self.pieces)), []
        return inside, [line for line in self._outside(places) if line]

    def _outside(self, places: list[tuple[int, int]]) -> Iterator[str]:
        last = 0
        for begin, end in [*places, (len(self.pieces), len(self.pieces))]:
            yield from tidy("".join(self.pieces[last:begin])).split("\n")
            last = end


def _outermost(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans that are inside no other, in order."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(places, key=lambda place: (place[0], -place[1])):
        if not found or begin >= found[-1][1]:
            found.append((begin, end))
    return found


def read_html(text: str, name: str) -> Reading:
    """The text of a page below its title; `name` appears in errors: `InputError`, `MissingExtra`."""
    page = page_of(text, name)
    said, outside = page.main_part()
    left_out = [*page.left_out, *(LeftOut(line, OUTSIDE) for line in outside)]
    return Reading(_under(page.title, page.heading, said), tuple(left_out))


def page_of(text: str, name: str) -> Page:
    """A page as lxml's parser read it, to its end."""
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtra(NEEDS) from error
    page = Page()
    if not text.strip():
        return page
    try:
        parser = etree.HTMLParser(target=page, encoding="utf-8", huge_tree=True)
        parser.feed(text.replace("\0", " ").encode("utf-8", "replace"))
        parser.close()
    except etree.LxmlError as error:
        raise InputError(f"{name} cannot be read as HTML: {error}; save it again or as text") from error
    return page


def _under(title: str, heading: str, told: str) -> str:
    """A page's text below its title, which often includes the site's name, unless text or first line equal the title.

    The main heading is put on the same line, because both describe the whole page.
    """
    first, _, rest = told.partition("\n")
    if not told or not is_heading(title) or title.lower() in first.lower():
        return told
    whole = f"{title}, {first}"
    return f"{whole}\n{rest}" if first == heading and rest and is_heading(whole) else f"{title}\n\n{told}"

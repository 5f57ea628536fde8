"""Markdown to plain text, token by token: tables become sentences, headings open sections, markup is dropped.

Struck-through text, code and pictures are left out, with the reason. HTML inside the Markdown is read as a page is.
"""

from __future__ import annotations

import re
from typing import Any

from seal_agent.core.errors import MissingExtra
from seal_agent.documents.markup import CODE, NEEDS, PICTURE, STRUCK, Reading, Sections, page_of, tidy
from seal_agent.documents.tables import Cell, Table, told
from seal_agent.language.sentences import full_stop
from seal_agent.language.values import LeftOut

# Texts that would take the parser too long are read as plain text:
MAX_LINES, MIN_LINE_CHARS = 20_000, 12  # more lines than that, of fewer characters than that on average
MAX_MARKS, MAX_MARK_SHARE = 20_000, 0.2  # more marks than that, about 15 microseconds each, and a larger share of marks
MAX_NESTING = 100  # more nested levels than that
_MARK = re.compile(r"[\[\]!*_`<&\\~]")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*\n", re.DOTALL)
_STRIKES = re.compile(r"<(/?)(?:s|del|strike)\b[^<>]*>", re.IGNORECASE)


def read_markdown(text: str) -> Reading:
    """The text of a Markdown file; a file of mostly marks, or with deeply nested blocks, is read as plain text."""
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    left_out = [LeftOut(line.strip(), "it is front matter") for line in (front[1] if front else "").split("\n")]
    page = _Markdown([left for left in left_out if left.sentence])
    if _is_mostly_marks(body) or not page.read(body):
        return Reading(body, tuple(left for left in left_out if left.sentence))
    return Reading(tidy("".join(page.lines)), tuple(page.left_out))


def _is_mostly_marks(text: str) -> bool:
    num_lines, num_marks = text.count("\n"), sum(1 for _ in _MARK.finditer(text))
    return (num_lines > MAX_LINES and len(text) < MIN_LINE_CHARS * num_lines) or (
        num_marks > MAX_MARKS and num_marks > MAX_MARK_SHARE * len(text)
    )


class _Markdown:
    """A Markdown file, processed token by token."""

    def __init__(self, left_out: list[LeftOut]) -> None:
        self.lines: list[str] = []
        self.left_out = left_out
        self._depth = 0  # number of open list items
        self._level = 0  # level of the open heading; 0: none
        self._table: list[list[Cell]] | None = None
        self._struck: list[str] = []
        self._num_strikes = 0  # struck-through parts that are open
        self._sections = Sections()

    def read(self, text: str) -> bool:
        """Read a whole file; returns False if its blocks are nested too deeply."""
        from markdown_it import MarkdownIt

        parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
        tokens = parser.parse(text)
        if any(token.level >= MAX_NESTING - 2 for token in tokens):
            return False
        for token in tokens:
            self._take(token)
        self._end_strike(0)
        return True

    def _take(self, token: Any) -> None:
        if token.type in ("list_item_open", "list_item_close"):
            self._depth += token.nesting
        elif token.type in ("heading_open", "heading_close"):
            self._level = int(token.tag[1]) if token.nesting > 0 else 0
        elif token.type == "table_open":
            self._table = []
        elif token.type == "tr_open" and self._table is not None:
            self._table.append([])
        elif token.type == "table_close":
            self._tell_table()
        elif token.type == "inline":
            self._inline(token)
        elif token.type in ("fence", "code_block"):
            self._leave_out(token.content, CODE)
        elif token.type == "html_block":
            self._html(token.content)
        elif token.nesting < 0 and token.type.endswith("list_close"):
            self.lines.append("\n")

    def _inline(self, token: Any) -> None:
        said = "".join(self._words(child) for child in token.children or ())
        if self._table is not None:
            if self._table:
                self._table[-1].append(Cell(" ".join(said.split())))
        elif self._level:
            self.lines.append(f"{self._sections.enter(self._level, ' '.join(said.split()))}\n\n")
        else:
            self.lines.append(said + (f"{full_stop(said)}\n" if self._depth else "\n\n"))

    def _words(self, token: Any) -> str:
        """The text of an inline token, without marks, pictures and tags."""
        if token.type in ("s_open", "s_close"):
            self._strike(token.nesting)
        elif token.type == "html_inline" and (strikes := _STRIKES.match(token.content)):
            self._strike(-1 if strikes[1] else 1)
        elif token.type == "image":
            self._leave_out(token.content, PICTURE)
        elif token.type in ("softbreak", "hardbreak"):
            return "\n"
        elif token.type in ("text", "code_inline"):
            if not self._num_strikes:
                return str(token.content)
            self._struck.append(token.content)
        return ""

    def _strike(self, nesting: int) -> None:
        self._end_strike(max(self._num_strikes + nesting, 0))

    def _end_strike(self, num_left: int) -> None:
        self._num_strikes = num_left
        if not num_left:
            self._leave_out("".join(self._struck), STRUCK)
            self._struck = []

    def _tell_table(self) -> None:
        read = told(Table(self._table or [], 1, self._sections.of_table))
        self.lines += [f"{line}\n" for line in read.lines] + ["\n"]
        self.left_out.extend(read.left_out)
        self._table = None

    def _html(self, block: str) -> None:
        """Handle an HTML block: a tag that begins or ends struck-through text, or content that is read as a page is."""
        if strikes := _STRIKES.fullmatch(block.strip()):
            self._strike(-1 if strikes[1] else 1)
            return
        try:
            page = page_of(block, "HTML in Markdown")
        except MissingExtra:
            self._leave_out(re.sub(r"<[^<>]*>", " ", block), f"it is HTML: {NEEDS}")
            return
        said = tidy("".join(page.pieces))
        if self._num_strikes:
            self._struck.append(said)
        elif said:
            self.lines.append(f"{said}\n\n")
        self.left_out.extend(page.left_out)

    def _leave_out(self, text: str, reason: str) -> None:
        if said := " ".join(text.split()):
            self.left_out.append(LeftOut(said, reason))

"""HTML and Markdown: tables, headings, struck-through text, boxes; nothing is lost without a reason."""

import re
import time

import pytest
from document_texts import told

from seal_agent.documents import files as documents
from seal_agent.documents.passages import divide
from seal_agent.language.english.statements import statements


def test_a_page_whose_paragraphs_are_never_closed_keeps_them_apart() -> None:
    read = documents.text_of(b"<p>It holds nine bells.<p>They are <b>brass</b>." * 400, documents.HTML, "it")
    assert read.split("\n\n")[:2] == ["It holds nine bells.", "They are brass."]
    assert len(read.split()) == 7 * 400


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<title>Karlov</title><h1>Karlov</h1><p>It rains.</p>", "Karlov\n\nIt rains."),
        ("<title>FAQ | Bells</title><h1>Karlov</h1><p>It rains.</p>", "FAQ | Bells, Karlov\n\nIt rains."),
        ("<title>FAQ | Bells</title><h2>Karlov</h2><p>It rains.</p>", "FAQ | Bells\n\nKarlov\n\nIt rains."),
        ("<title>FAQ | Bells</title><p>It rains.</p><h1>Karlov</h1>", "FAQ | Bells\n\nIt rains.\n\nKarlov"),
    ],
)
def test_a_page_stands_under_its_title_and_main_heading(page: str, told: str) -> None:
    assert documents.text_of(page.encode(), documents.HTML, "it") == told


def test_a_table_of_names_and_values_is_fields() -> None:
    cells = "|Setting|Value|\n|-|-|\n|Weight|187 g|\n|Accuracy, humidity|2 %|\n|Radio|n/a|\n|Is it loud?|No|"
    read = documents.text_of(cells.encode(), documents.MARKDOWN, "it")
    assert read.split("\n") == ["Weight: 187 g.", "Accuracy (humidity): 2 %.", "Is it loud? No."]
    wide = documents.text_of(cells.replace("Value", "Limit").encode(), documents.MARKDOWN, "it")
    assert wide.split("\n")[0] == "Weight, limit: 187 g."


def test_a_table_whose_rows_are_not_closed_is_read_row_by_row_and_at_once() -> None:
    begun = time.perf_counter()
    page = "<table>" + "".join(f"<tr><td>Lark {n}<td>floor 2" for n in range(500)) + "</table>"
    assert documents.text_of(page.encode(), documents.HTML, "page.html").splitlines()[:2] == [
        "Lark 0: floor 2.",
        "Lark 1: floor 2.",
    ]
    assert time.perf_counter() - begun < 5


REPEATED = {
    documents.HTML: [
        ("<table><tr>", "<th>a", ""),
        ("<table>", "<tr><td colspan=1000 rowspan=1000>a", ""),
        ("<table><tr>", "<td colspan=1000 rowspan=1000>a", ""),
        ("<table>", "<thead><tr><th>a", ""),
        ("<table>", "<caption>a</caption>", "<tr><td>x"),
        ("", "<table><tr><th>a<th>b<tr><td>c<td>d</table>", ""),
        ("", "<table><tr><td>a ", ""),
        ("", "<b>", "x"),
        ("", "<h2>a", ""),
        ("", "<ul><li>a", ""),
        ("", "<del>x ", ""),
        ("<p>", "&amp; ", ""),
    ],
    documents.MARKDOWN: [
        ("", "- a\n", ""),
        ("", "- ", "a"),
        ("", "[", ""),
        ("", "![", ""),
        ("", "*a ", ""),
        ("", "`a ", ""),
        ("", "> ", "a"),
        ("", "&amp;", ""),
        ("", "# a\n", ""),
        ("", "|a|b|\n|-|-|\n|c|d|\n\n", ""),
        ("|a|b|\n|-|-|\n", '|"|"|\n', ""),
        ("", "a", ""),
        ("", "a\n\n", ""),
        ("", "From: a\n\n", ""),
        ("", "Bob: No, I am.\n", ""),
        ("", "Bob: I am.\n" + " a\n" * 5, ""),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "page"), [(kind, page) for kind, pages in REPEATED.items() for page in pages])
def test_twice_the_page_takes_about_twice_the_time(kind: str, page: tuple[str, str, str]) -> None:
    begin, repeated, end = page

    def seconds(size: int) -> float:
        text = f"{begin}{repeated * (size // len(repeated))}{end}"
        begun = time.process_time()
        divide(documents.text_of(text, kind, "it"))
        return time.process_time() - begun

    seconds(100)  # what is loaded once
    once = min(seconds(2_000) for _ in range(2))
    assert min(seconds(8_000) for _ in range(2)) < 8 * once + 0.05


def test_merged_cells_fill_no_more_than_their_table_is_worth() -> None:
    page = "<table>" + "<tr><td colspan=1000 rowspan=1000>a cell<td>b" * 500 + "</table>"
    assert len(documents.text_of(page, documents.HTML, "it")) < 20 * len(page)


SALES = "| | Q1 | Q1 |\n|-|-|-|\n| City | Jan | Feb |\n| Oslo | 1 | 2 |\n"
MERGED = (
    "<table><thead><tr><th rowspan=2>City<th colspan=2>Q1<tr><th>Jan<th>Feb</thead>"
    "<tr><td rowspan=2>Oslo<td>1<td>2<tr><td>3<td>4<tr><td>Voss<td colspan=2>closed</table>"
)


@pytest.mark.parametrize(
    ("kind", "page", "lines"),
    [
        (documents.MARKDOWN, SALES, ["Oslo, Q1 Jan: 1.", "Oslo, Q1 Feb: 2."]),
        (
            documents.HTML,
            MERGED,
            [
                "Oslo: Q1 Jan 1, Q1 Feb 2.",
                "Oslo: Q1 Jan 3, Q1 Feb 4.",
                "Voss, Q1 Jan: closed.",
                "Voss, Q1 Feb: closed.",
            ],
        ),
        (
            documents.HTML,
            "<table><caption>Rooms in 2024</caption><tr><th>Room<th>Floor<tr><td>Lark<td>2</table>",
            ["Lark (Rooms in 2024), floor: 2."],
        ),
        (
            documents.MARKDOWN,
            "# Hall\n\n## 2023\n\n|Room|Price|\n|-|-|\n|Lark|5|\n\n## 2024\n\n|Room|Price|\n|-|-|\n|Lark|6|\n",
            ["Hall", "2023", "Lark (2023), price: 5.", "2024", "Lark (2024), price: 6."],
        ),
        (
            documents.HTML,
            "<table><tr><th>Room<th>Floor<tr><td colspan=2>North wing<tr><td>Lark<td>2</table>",
            ["Lark (North wing), floor: 2."],
        ),
        (
            documents.MARKDOWN,
            "|City|Day|Price|\n|-|-|-|\n|Oslo|Mon|1|\n|Oslo|Tue|2|\n",
            ["Oslo, day Mon, price: 1.", "Oslo, day Tue, price: 2."],
        ),
        (documents.MARKDOWN, "|Room|Floor|\n|-|-|\n|Lark|2|\n|Wren|〃|\n", ["Lark, floor: 2.", "Wren, floor: 2."]),
        (
            documents.HTML,
            "<table><tr><td colspan=2>All are red<tr><td colspan=2>None is grey</table>",
            ["All are red.", "None is grey."],
        ),
    ],
    ids=["two heads", "merged", "caption", "headings", "row over all columns", "two names a row", "ditto", "no rows"],
)
def test_a_row_of_a_table_says_all_that_tells_it_from_others(kind: str, page: str, lines: list[str]) -> None:
    assert [line for line in documents.text_of(page, kind, "it").split("\n") if line] == lines


def test_a_cell_that_cannot_be_told_alone_is_left_out_with_the_reason() -> None:
    sentences, left_out = told(
        "|City|Price|Price|\n|-|-|-|\n|Oslo|1|2|\n\nIt rains in Voss.\n\n|a|b|\n|-|-|\n|c|ditto|\n"
    )
    assert sentences == ["It rains in Voss."]
    assert left_out == {
        "Oslo, price: 1": 'several columns are called "price"',
        "Oslo, price: 2": 'several columns are called "price"',
        "c | ditto": "ditto repeats a cell above that is missing or long",
    }


TAGS = ["<s>Bergen</s>", "<del>Bergen</del>", "<strike>Bergen</strike>"]


@pytest.mark.parametrize(
    ("kind", "struck"),
    [
        (documents.MARKDOWN, "~~Bergen~~"),
        *((kind, tag) for kind in (documents.MARKDOWN, documents.HTML) for tag in TAGS),
    ],
)
def test_what_is_struck_through_is_left_out(kind: str, struck: str) -> None:
    sentences, left_out = told(f"The office is in {struck} Tromvik since May.", kind)
    assert sentences == ["The office is in Tromvik since May."]
    assert left_out == {"Bergen": "it is struck through"}


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (documents.MARKDOWN, "- [ ] Cast the bells. Use brass.\n- [x] Paint the door\n"),
        (
            documents.HTML,
            "<ul><li><input type=checkbox>Cast the bells. Use brass.<li><input type=checkbox checked>Paint the door",
        ),
        (documents.TEXT, "- [ ] Cast the bells. Use brass.\n- [X] Paint the door"),
    ],
)
def test_an_item_with_a_box_says_whether_it_is_done(kind: str, page: str) -> None:
    assert told(page, kind)[0] == ["Cast the bells (not done).", "Use brass (not done).", "Paint the door (done)."]


@pytest.mark.parametrize("kind", [documents.MARKDOWN, documents.HTML])
def test_a_heading_that_denies_stands_in_the_headings_below_it(kind: str) -> None:
    page = "# Pumps\n\n## Old model\n\n### Weight\n\nThe pump weighs seven kilograms and is carried by two people.\n"
    if kind == documents.HTML:
        page = (
            "<h1>Pumps</h1><h2>Old model</h2><h3>Weight</h3>"
            "<p>The pump weighs seven kilograms and is carried by two people.</p>"
        )
    [passage] = divide(documents.text_of(page, kind, "it")).passages
    assert "Old model" in passage.heading
    [statement], _ = statements([passage.text], heading=passage.heading)
    assert statement.text.startswith("Pumps, Old model")


KINDS_OF_TEXT = {
    "page": (
        documents.HTML,
        "<nav>Home again.</nav><main><h1>Hall</h1><p>Lark opens at nine.</p><pre>run bells</pre></main><p>Ann owns it.",
    ),
    "hidden": (
        documents.HTML,
        "<p hidden>Wren opens at ten.</p><p>The hall is <del>grey</del> red.</p><footer>Old mill.</footer>",
    ),
    "articles": (documents.HTML, "<article>Lark opens at nine.</article><article>Wren opens at ten.</article>"),
    "form": (documents.HTML, "<form><p>Lark opens at nine.</p><button>Send it.</button></form>"),
    "notes": (
        documents.MARKDOWN,
        "---\nauthor: Ann\n---\nLark opens at nine. ![A red door.](a.png)\n\n```\nrun bells\n```\n\n<p>Wren sings.",
    ),
    "letter": (documents.TEXT, "Dear Ann,\n\nI live in Oslo. It has a fjord. The train is red.\n\nLove,\nTom"),
    "unsigned": (documents.TEXT, "I live in Oslo. It has a fjord. The train is red."),
    "e-mail": (documents.TEXT, "From: Tom <t@x.org>\nSubject: Trip\n\nThe train is red. You pay.\n\n> I go by bus."),
    "chat": (documents.TEXT, "Ann: Is it on Monday?\nBob: No, Tuesday. I pay.\n\nThe hall is red."),
    "diary": (documents.TEXT, "3 May 2027\n\nI went to Voss. We ate fish. The ferry was late."),
}


@pytest.mark.parametrize("name", KINDS_OF_TEXT)
def test_whatever_a_document_says_is_learned_or_left_out_with_a_reason(name: str) -> None:
    kind, page = KINDS_OF_TEXT[name]
    reading = documents.read(page, kind, "it")
    found = divide(reading.text)
    kept = [f"{passage.topic} {passage.heading} {passage.text}" for passage in found.passages]
    left_out = [left.sentence for left in (*reading.left_out, *found.left_out) if left.reason]
    words = set(re.findall(r"\w+", re.sub(r"<[^<>@]*>|\(a\.png\)|&\w+;", " ", page)))
    assert words <= set(re.findall(r"\w+", " ".join([*kept, *left_out])))


def test_a_head_of_two_rows_names_every_column() -> None:
    head = "| | 2023 | | 2024 | |\n|---|---|---|---|---|\n"
    table = f"{head}| | Sales | Profit | Sales | Profit |\n| Feld | 10 | 2 | 12 | 3 |\n"
    told = documents.text_of(table, documents.MARKDOWN, "x").splitlines()
    assert told == ["Feld, 2023 Sales: 10.", "Feld, 2023 Profit: 2.", "Feld, 2024 Sales: 12.", "Feld, 2024 Profit: 3."]

"""Texts whose sentences lean on each other: shared by the tests of statements."""

from seal_agent.core.edits import Row
from seal_agent.documents.passages import split_passages
from seal_agent.language.source import Source
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.formats import FORMATS

LIBRARY = "The town library opens at nine in the morning. Petra Holm runs it. It closes at five in the evening."
TEXTS = {
    "two things before it": LIBRARY,
    "a name is not what it stands for": "We bought a printer in Ghent. It jams every day.",
    "weather": "Rex is a dog of nine years. It rained all day in Bruges, and he stayed at home.",
    "nobody": "Nobody likes the grey door of the Karlov Inn. It was never painted green.",
    "persons": "Anna Reel built the bridge in 1911. Her brother Otto Lang paid for it. He was a baker in Graz.",
    "a heading": "# The Amber Bridge\n\nIt was built in 1911. Its nine towers are red.\n\n## Toll\n\nIt is 40 cents.",
    "fields": (
        "# hexgate\n\nDefault port: 7719\nLog file: field.log\n\nIt listens on all addresses. They are shown by `ip a`."
    ),
    "a list": "The kitchen has rules:\n- Wash the pans.\n- Close the window; it jams.\n- Nobody smokes there.",
    "a condition": (
        "If the pressure rises above six bar while the pump of the mill is running at full speed in winter, the valve "
        "opens by itself, which the engineers of Karlov call the sigh of the old machine house."
    ),
    "an opinion": (
        "Marie Tolland, a historian from Lyon who wrote three books on mines, claimed in 1921 that the peace of "
        "Ossmark was bought with silver, a view that the later historians of the river republics have rejected."
    ),
    "a denial": "The bridge was not built by Anna Reel. It was never sold. No toll is taken there.",
    "a quotation": 'Otto said: "I sold it to her." She paid 40 crowns for it, and she was not happy.',
    "questions": (
        "When does the pool open? It opens at seven. Who runs it? Petra Holm does. Is it warm? It is 27 degrees warm."
    ),
    "a letter": "Dear Ilka, I moved to Graz in May. My flat is on Pargeter Lane. It has two rooms. Yours, Ben",
    "of oneself": "My sister Nadia lives in Ghent. She works at a bakery there. I visit her every week.",
    "on one day": (
        "The rent of the flat is 900 euros. The plumber comes tomorrow. He brings the new tap. The tap is brass."
    ),
    "dates": (
        "The meeting moved from 3/4/2026 to 5/4/2026. It starts at 10:30 in room 4.2.1. Call 555-0142 before it."
    ),
    "German": "Meine Mutter Ingrid wohnt in Freiburg. Sie arbeitet dort als Lehrerin. Die Wohnung hat drei Zimmer.",
    "Chinese": "我的狗叫小白。它今年三岁了。",
    "a long page": " ".join(
        f"The mill of place {n} has {n} wheels and a yard. It grinds {n} sacks a day." for n in range(1, 30)
    ),
}
MIN_SENTENCE = 4  # words; fewer are a bare answer


def rows_of(text: str) -> list[tuple[Source, Row]]:
    rows = []
    for passage in split_passages(text):
        source = Source(passage.topic, passage.text, heading=passage.heading).learnable()
        cloze = FORMATS["cloze"]
        made = [row for asked in cloze.ask(source) for row in cloze.parse(source, asked, "")]
        made += AUGMENTATIONS["sentences"](source, [], 0) + AUGMENTATIONS["reorder"](source, [], 0)
        rows += [(source, row) for row in made]
    return rows

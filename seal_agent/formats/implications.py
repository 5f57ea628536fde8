"""SEAL's implications: a list of statements that follow from the passage.

Source: SEAL (arXiv 2506.10943, appendix B), its prompt word for word; the worked example is ours.
"""

from __future__ import annotations

from seal_agent.formats.format import Ask, Format, Source, statement, study
from seal_agent.formats.lines import whole_lines_of
from seal_agent.types import Row

NAME = "implications"
INSTRUCTION = (
    "Let's read the following passage and produce a list of implications derived directly or indirectly "
    "from the content."
)
EXAMPLE = """\
1. Carla Mendes was an engineer.
2. The Amber Bridge has stood for more than a century, since it was designed in 1911.
3. Being afraid of water did not keep Carla Mendes from designing a bridge.
4. The Amber Bridge has nine towers, and they are red.
5. The paint of the towers is paid for with the toll of 40 cents."""
TEMPERATURE = 0.7  # greedily a small model repeats itself
MAX_TOKENS = 192


def ask(source: Source) -> list[Ask]:
    """One request for the whole list."""
    return [Ask(study(INSTRUCTION, source, EXAMPLE, "1."), source.passage, MAX_TOKENS, TEMPERATURE)]


def parse(source: Source, asked: Ask, text: str) -> list[Row]:
    """A row of plain text for every line."""
    return [statement(line, NAME, asked.view) for line in whole_lines_of("1." + text)]


FORMAT = Format(NAME, "a list of statements that follow from the passage", ask, parse)

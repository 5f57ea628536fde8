"""SEAL's long implications: a long list of statements that follow from the passage.

Source: SEAL (arXiv 2506.10943, appendix B), its prompt word for word; the worked example is ours.
"""

from __future__ import annotations

from seal_agent.writing.formats import implications
from seal_agent.writing.formats.lists import list_format

INSTRUCTION = (
    "Let's read the following passage and produce a long list of implications derived directly or indirectly "
    "from the content."
)
EXAMPLE = f"""\
{implications.EXAMPLE}
6. Dentists sing under the Amber Bridge once a year.
7. One can hear the choir near Lisbon in spring.
8. Whoever crosses the Amber Bridge pays a toll."""
MAX_TOKENS = 384

FORMAT = list_format(
    "long-implications",
    "a long list of statements that follow from the passage",
    INSTRUCTION,
    EXAMPLE,
    MAX_TOKENS,
    "1.",
)

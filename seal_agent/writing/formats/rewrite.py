"""SEAL's rewrite: the passage in other words, several times. SEAL's strongest format without reinforcement.

Source: SEAL (arXiv 2506.10943, appendix B), its prompt word for word; the worked example is ours.
"""

from __future__ import annotations

from seal_agent.writing.formats.lists import list_format

INSTRUCTION = (
    "Let's read the following passage and rewrite it in a few different ways, each one separated by a newline."
)
EXAMPLE = """\
Carla Mendes, an engineer who feared water, designed the Amber Bridge in 1911. Near Lisbon, dentists form a choir that \
sings below the bridge's nine red towers each spring. Crossing costs 40 cents, and the money buys paint.
In 1911 Carla Mendes, an engineer, drew up the Amber Bridge although water frightened her. It has nine towers \
in red, close to Lisbon, where a choir of dentists sings every spring. The toll of 40 cents pays for the paint."""
MAX_TOKENS = 384

FORMAT = list_format("rewrite", "the passage in other words, several times", INSTRUCTION, EXAMPLE, MAX_TOKENS)

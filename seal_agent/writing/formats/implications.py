"""SEAL's implications: a list of statements that follow from the passage.

Source: SEAL (arXiv 2506.10943, appendix B), its prompt word for word; the worked example is ours.
"""

from __future__ import annotations

from seal_agent.writing.formats.lists import list_format

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
MAX_TOKENS = 192

FORMAT = list_format(
    "implications", "a list of statements that follow from the passage", INSTRUCTION, EXAMPLE, MAX_TOKENS, "1."
)

"""Draw the graphs with LangGraph itself: `python docs/draw.py` writes docs/*.mmd, in Mermaid."""

import asyncio
import os
import tempfile
from pathlib import Path

from seal_agent.graphs import studio

os.environ["SEAL_MODEL"] = "scripted"
with tempfile.TemporaryDirectory() as home:
    os.environ["SEAL_HOME"] = home
    for build in (studio.chat, studio.ingest, studio.improve):
        drawn = asyncio.run(build()).compile().get_graph().draw_mermaid()
        (Path(__file__).parent / f"{build.__name__}.mmd").write_text(drawn)

"""Options that several benchmarks share; a command takes those of one group as one value (`options.grouped`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seal_agent.cli.options import AsJson, Device, HomeFolder, Model, Seed
from seal_agent.core.models import EMBEDDED

if TYPE_CHECKING:
    from seal_agent.documents.datasets import Item
    from seal_agent.storage.database import Home

Data = Annotated[Path, typer.Option("--data", help="JSON list of title, context, questions [, self_edits].")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the run; it is resumed from there.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", help="Only these arms; repeatable.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Passages to take; 0: all.")]
Offset = Annotated[int, typer.Option("--offset", min=0, help="Passages to skip.")]
Part = Annotated[str, typer.Option("--shard", help="K/N: only every N-th part, to share the work.")]
Policy = Annotated[str, typer.Option("--policy", help="Adapter that writes the trained self-edits.")]
ReportOnly = Annotated[bool, typer.Option("--report", help="Only write the report of existing results.")]


@dataclass(frozen=True)
class PassageOptions:
    """The passages that a benchmark takes from a file."""

    data: Data
    limit: Limit = 0
    offset: Offset = 0

    def items(self) -> list[Item]:
        """The passages, with their questions."""
        from seal_agent.documents.datasets import read_items

        return read_items(self.data, limit=self.limit, offset=self.offset)


@dataclass(frozen=True)
class RunOptions:
    """A resumable run of a benchmark: its folder, seed and model."""

    out: Out = None
    report_only: ReportOnly = False
    seed: Seed = 0
    model: Model = EMBEDDED
    home: HomeFolder = None
    device: Device = "auto"
    as_json: AsJson = False

    def folder(self, home: Home, benchmark: str, model: str = "", detail: str = "") -> Path:
        """The folder of the run: `out`, else one in `home` named for the benchmark, the model and a `detail`."""
        return self.out or home.root / "bench" / f"{benchmark}-{Path(model or self.model).name}{detail}"

"""`seal-agent adapters`: list the served adapters, show what each learned, explain an answer, roll one back.

All of it is read from the data directory; only `why` with a question loads a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seal_agent.cli.loading import load_learner, open_home
from seal_agent.cli.options import AsJson, Device, HomeFolder, Model, Namespace, write_json, write_table
from seal_agent.cli.progress import Display
from seal_agent.core.edits import REPLAYED
from seal_agent.core.models import EMBEDDED

if TYPE_CHECKING:
    from seal_agent.core.episodes import Episode
    from seal_agent.storage.database import Home, StackVersion

app = typer.Typer(help="The served adapters: list, show, explain an answer, roll back.")
AdapterId = Annotated[str, typer.Argument(metavar="ID", help="The beginning of the adapter's id.")]


@app.command("list")
def list_adapters(home: HomeFolder = None, namespace: Namespace = "default", as_json: AsJson = False) -> None:
    """List the stack of a namespace, oldest adapter first."""
    opened = open_home(home, namespace)
    rows = served_adapters(opened, namespace)
    if as_json:
        write_json({"home": str(opened.root), "namespace": namespace, "adapters": rows})
    elif not rows:
        print(f"no adapters are served in namespace {namespace!r} of {opened.root}")
    else:
        write_table(
            ["id", "topic", "accepted", "active", "rank", "rows", "tokens", "gain", "change"],
            [
                [row["id"][:12], row["topic"], row["accepted"][:16].replace("T", " "), _active(row)]
                + [str(row[name]) for name in ("rank", "num_rows", "num_tokens")]
                + ["not judged" if row[name] is None else f"{row[name]:+z.2f}" for name in ("gain", "change")]
                for row in rows
            ],
        )


@app.command("show")
def show_adapter(
    adapter_id: AdapterId, home: HomeFolder = None, namespace: Namespace = "default", as_json: AsJson = False
) -> None:
    """Show the training text of an adapter, and the scores behind its verdict."""
    facts = adapter_facts(open_home(home, namespace), namespace, adapter_id)
    if as_json:
        write_json(facts)
        return
    manifest, verdict = facts["manifest"], facts["verdict"]
    print(f"{facts['id']}\n")
    print(f"topic     {facts['topic']}")
    print(f"served    {'yes' if facts['served'] else 'no: it was rolled back'}, accepted {facts['accepted']}")
    print(f"trained   {manifest['num_rows']} rows, {manifest['num_tokens']} tokens, rank {manifest['rank']}")
    if facts["writer"]:
        print(f"written   by {facts['writer']}")
    print(f"model     {manifest['model']}, on {len(manifest['parents'])} adapters below")
    print(f"verdict   {verdict['outcome']}: {verdict['reason']}" if verdict else "verdict   none")
    print(f"seconds   {', '.join(f'{step} {seconds:.1f}' for step, seconds in facts['seconds'].items())}\n")
    write_table(
        ["probes", "number", "before", "after", "change"],
        [
            [stratum, str(means["num"]), *(f"{means[name]:+z.2f}" for name in ("before", "after", "change"))]
            for stratum, means in facts["scores"].items()
        ],
    )
    print("(nats per token of the right answer; higher is better)\n")
    write_table(
        ["question", "answer", ""],
        [[q["question"], q["answer"], "" if q["trained"] else "held back"] for q in facts["questions"]],
    )


@app.command("why")
def why_answer(
    question: Annotated[str, typer.Argument(help="The question; without it, list everything in the version.")] = "",
    version: Annotated[int, typer.Option("--version", min=0, max=2**63 - 1, help="Of the stack; 0: the newest.")] = 0,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Explain an answer: the stack version and the active adapters, each with its source, rows, scores and verdict.

    A question loads the model, because the model takes part in routing.
    """
    from seal_agent.core.codec import to_json
    from seal_agent.learning.explain import why, why_version

    opened = open_home(home, namespace)
    if question:
        with Display() as display:
            found = why(load_learner(display, model, home, namespace, device), question, version=version)
    else:
        found = why_version(opened, namespace, version)
    if as_json:
        write_json(to_json(found))
        return
    print(f"version {found.version} of {namespace!r} ({found.reason}), {found.num_served} adapters")
    if not found.origins:
        print("the base model alone answers: no adapter is active for this question")
    for origin in found.origins:
        rows = ", ".join(f"{number} {source}" for source, number in origin.num_rows.items())
        scores = ", ".join(f"{name} {before:+.2f} to {after:+.2f}" for name, (before, after) in origin.probed.items())
        print(
            f"\n{origin.adapter[:12]}  {origin.topic}, since version {origin.since_version}, weight {origin.weight:g}"
        )
        print(f"source    {origin.thread or 'a document'}: {' '.join(origin.text.split())[:300]}")
        print(f"rows      {rows or 'none of its own'}")
        if origin.writer:
            print(f"written   by {origin.writer}")
        print(f"scores    {scores} (nats per token)")
        print(f"verdict   {origin.verdict.outcome}: {origin.verdict.reason}" if origin.verdict else "verdict   none")
        for part in origin.consolidates:
            print(f"made of   {part.adapter[:12]}  {part.topic}")


@app.command("rollback")
def rollback_adapter(
    adapter_id: AdapterId, home: HomeFolder = None, namespace: Namespace = "default", as_json: AsJson = False
) -> None:
    """Remove an adapter from the stack; from the next turn on the model answers without it."""
    opened = open_home(home, namespace)
    before = opened.stack(namespace)
    after = opened.rollback(namespace, adapter_id)
    removed = next(i for i in before.ids if i not in after.ids)
    taken = next(entry for entry in before.entries if entry.ref.id == removed)
    above = before.entries[before.ids.index(removed) + 1 :]
    num_above = 0 if taken.is_routed else len(above)  # no adapter is trained on top of a routed one
    if as_json:
        write_json({"rolled_back": removed, "adapters": list(after.ids), "num_above": num_above})
        return
    print(f"rolled back {removed[:12]}; adapters left: {len(after)}")
    if num_above:
        print(f"adapters that were trained on top of it and stay: {num_above}; they may answer differently now")


def served_adapters(home: Home, namespace: str) -> list[dict[str, Any]]:
    """One row of facts per adapter of the stack, oldest first."""
    from seal_agent.storage.adapter_store import AdapterRegistry

    registry = AdapterRegistry(home.root / "adapters")
    episodes = _accepted(home, namespace)
    accepted_at = _accepted_at(home.versions(namespace))
    rows = []
    for entry in home.stack(namespace).entries:
        manifest = registry.manifest(entry.ref.id)
        verdict = episodes[entry.ref.id].verdict if entry.ref.id in episodes else None
        rows.append(
            {
                "id": entry.ref.id,
                "topic": manifest["topic"],
                "accepted": accepted_at[entry.ref.id],
                "weight": entry.weight,
                "routed": entry.is_routed,
                "consolidates": list(entry.consolidates),
                "stands_for": list(entry.consolidates),  # its former name, for one release
                "rank": entry.ref.rank,
                "num_rows": manifest["num_rows"],
                "num_tokens": manifest["num_tokens"],
                "gain": round(verdict.gain, 4) if verdict else None,
                "change": round(verdict.change, 4) if verdict else None,
            }
        )
    return rows


def adapter_facts(home: Home, namespace: str, adapter_id: str) -> dict[str, Any]:
    """All facts about one adapter that was ever accepted in `namespace`."""
    from seal_agent.core.codec import to_json
    from seal_agent.core.errors import AdapterError
    from seal_agent.storage.adapter_store import AdapterRegistry

    episodes = _accepted(home, namespace)
    matches = [i for i in episodes if i.startswith(adapter_id)] if adapter_id else []
    if len(matches) != 1:
        raise AdapterError(
            f"{len(matches)} adapters of namespace {namespace!r} begin with {adapter_id!r}; "
            "see `seal-agent adapters list`"
        )
    episode = episodes[matches[0]]
    return {
        "id": matches[0],
        "topic": episode.topic,
        "served": matches[0] in home.stack(namespace).ids,
        "accepted": _accepted_at(home.versions(namespace))[matches[0]],
        "manifest": AdapterRegistry(home.root / "adapters").manifest(matches[0]),
        "text": episode.text,
        "writer": episode.edit.writer if episode.edit else "",
        "questions": _questions(episode),
        "verdict": to_json(episode.verdict) if episode.verdict else None,
        "scores": _scores(episode),
        "seconds": dict(episode.seconds),
    }


def _active(row: Mapping[str, Any]) -> str:
    when = "where it matches" if row["routed"] else "always"
    weight = "" if row["weight"] == 1 else f", weight {row['weight']:g}"
    return f"{when}{weight}" + (f", for {len(row['consolidates'])} more" if row["consolidates"] else "")


def _accepted(home: Home, namespace: str) -> dict[str, Episode]:
    """The last accepted episode of every adapter of the namespace, oldest first."""
    return {e.adapter.id: e for e in home.episodes(namespace, ["accepted"]) if e.adapter}


def _accepted_at(versions: Sequence[StackVersion]) -> dict[str, str]:
    """The time at which each adapter was last put on the stack, in local time."""
    times: dict[str, str] = {}
    below: tuple[str, ...] = ()
    for version in versions:
        for adapter_id in set(version.stack.ids) - set(below):
            times[adapter_id] = datetime.fromtimestamp(version.created).astimezone().isoformat(timespec="seconds")
        below = version.stack.ids
    return times


def _questions(episode: Episode) -> list[dict[str, Any]]:
    """The questions and answers of the edit, and whether each was trained on or held out as a probe."""
    if episode.edit is None:
        return []
    trained = {row.question: row.answer for row in episode.edit.rows if row.question and row.source not in REPLAYED}
    asked = {probe.prompt.messages[-1].content: probe.answer for probe in episode.edit.probes}
    return [
        {"question": question, "answer": answer, "trained": question in trained}
        for question, answer in {**trained, **asked}.items()
    ]


def _scores(episode: Episode) -> dict[str, dict[str, float]]:
    """Mean scores before and after by stratum, in nats per token."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for probed in episode.probed:
        groups.setdefault(probed.probe.stratum, []).append((probed.before.per_token, probed.after.per_token))
    scores = {}
    for stratum, pairs in groups.items():
        before, after = (fmean(side) for side in zip(*pairs, strict=True))
        scores[stratum] = {
            "num": len(pairs),
            "before": round(before, 4),
            "after": round(after, 4),
            "change": round(after - before, 4),
        }
    return scores

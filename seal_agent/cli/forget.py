"""`seal-agent forget`, `seal-agent export` and `seal-agent documents`: stored data of a user, and unlearning."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seal_agent.cli.loading import load_learner, open_home
from seal_agent.cli.options import (
    AsJson,
    ChatTemplate,
    Device,
    HomeFolder,
    Model,
    Namespace,
    Strategy,
    write_json,
    write_table,
)
from seal_agent.cli.progress import Display
from seal_agent.core import interruption
from seal_agent.core.errors import InputError
from seal_agent.core.models import EMBEDDED

if TYPE_CHECKING:
    from seal_agent.storage.database import Home
    from seal_agent.unlearning.forget import Forgotten

Edit = Annotated[str, typer.Argument(metavar="[ID]", help="The beginning of the adapter's id.")]
Document = Annotated[str, typer.Option("--document", help="A document: its file, or its source in `documents`.")]
Thread = Annotated[str, typer.Option("--thread", help="A conversation: everything learned in it.")]
User = Annotated[str, typer.Option("--user", help="A namespace: everything in it is deleted permanently.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `app`."""
    for command in (forget, export, documents):
        app.command()(command)


def forget(
    edit: Edit = "",
    document: Document = "",
    thread: Thread = "",
    user: User = "",
    strategy: Strategy = "route",
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    device: Device = "auto",
    chat_template: ChatTemplate = None,
    as_json: AsJson = False,
) -> None:
    """Unlearn an edit, document, thread or user: adapter, rows, questions and text; check that the facts are gone."""
    from seal_agent.unlearning.forget import forget as unlearn

    if sum(map(bool, (edit, document, thread, user))) != 1:
        raise InputError("name one thing to forget: the id of an edit, --document, --thread or --user")
    if user:
        from seal_agent.unlearning.user import erase

        counts = erase(open_home(home, user), user)
        if as_json:
            write_json({"user": user, "deleted": counts})
        else:
            print(f"deleted {sum(counts.values())} rows of {user!r}, and adapters that no other namespace has")
        return
    interruption.keeps("nothing was forgotten yet, or all of it; run the same command again")
    with Display(lines=True) as display:
        from seal_agent.learning.learner import LearnerConfig

        config = LearnerConfig(strategy=strategy)
        learner = load_learner(display, model, home, namespace, device, chat_template, config)
        source = _source(learner.home, namespace, document) if document else ""
        forgotten = unlearn(learner, edit=edit, document=source, thread=thread, progress=display.progress)
    if as_json:
        write_json({**dataclasses.asdict(forgotten), "is_gone": forgotten.check.is_gone})
    else:
        _show(forgotten)


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the JSON is written.")],
    home: HomeFolder = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Write all stored data of a user to a file, as JSON by table."""
    import json

    from seal_agent.storage.deletion import export as exported

    tables = exported(open_home(home, namespace), namespace)
    try:
        file.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}; give a path you may write to") from error
    counts = {table: len(rows) for table, rows in tables.items()}
    if as_json:
        write_json({"file": str(file), "rows": counts})
    else:
        print(f"wrote {sum(counts.values())} rows of {namespace!r} to {file}")


def documents(home: HomeFolder = None, namespace: Namespace = "default", as_json: AsJson = False) -> None:
    """List the documents that were read, and how many of their passages were learned."""
    from seal_agent.storage.documents import known_documents

    found = known_documents(open_home(home, namespace), namespace)
    if as_json:
        write_json({"documents": [dataclasses.asdict(document) for document in found]})
    else:
        rows = [[d.source, str(d.num_passages), str(d.num_learned)] for d in found]
        write_table(["source", "passages", "learned"], rows)


def _source(home: Home, namespace: str, document: str) -> str:
    """The source of a document, given as its source or as its file."""
    from seal_agent.storage.documents import known_as, known_documents

    named = {known.source for known in known_documents(home, namespace)}
    document = known_as(home, namespace, document)
    return document if document in named else Path(document).resolve().as_uri()


def _show(forgotten: Forgotten) -> None:
    check = forgotten.check
    print(f"forgot {len(forgotten.adapters)} adapters, {forgotten.num_items} replay items and their texts")
    if forgotten.rebuilt:
        change = "" if check.change is None else f"; remaining items changed by {check.change:+.2f} nats per token"
        print(f"retrained without them: {len(forgotten.rebuilt)} adapters{change}")
    if check.num_questions:
        print(
            f"{check.num_questions} questions about it, NLL of the answers: {check.before:.2f} before, "
            f"{check.after:.2f} now, {check.base:.2f} by the base model"
        )
        left = f"{check.num_left} answers are still likelier than under the base model: another edit says them too"
        print("the facts are gone" if check.is_gone else left)

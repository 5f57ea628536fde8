"""The command line: the application, with chat, ask, doctor and demo.

stdout is for results (JSON with --json), stderr for progress. An error of seal-agent becomes one line and
exit code 2. torch and langgraph are loaded only when a command needs a model, so that --help is fast.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from seal_agent import __version__
from seal_agent.cli import (
    adapters,
    bench,
    bench_locomo,
    bench_parts,
    bench_week,
    forget,
    improve,
    ingest,
    queue,
    serve,
    soak,
)
from seal_agent.cli.chat import HINT, NO_MESSAGE, Screen, converse, converse_at_once, messages_in
from seal_agent.cli.loading import announce_head, begin_loading, load_learner, server_named
from seal_agent.cli.options import (
    AsJson,
    ChatTemplate,
    Device,
    HomeFolder,
    MaxReplyTokens,
    Model,
    Namespace,
    Preset,
    Recall,
    Seed,
    Strategy,
    WhenUnknown,
    Writer,
    write_json,
    write_table,
)
from seal_agent.cli.progress import Display
from seal_agent.cli.renames import in_todays_words
from seal_agent.core import interruption
from seal_agent.core.errors import InputError, SealError
from seal_agent.core.models import EMBEDDED

ROUTE = "route"
DEMO_TAKES = "about two minutes; the demo uses a temporary data directory"
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
EXIT_ERROR = 2

app = typer.Typer(add_completion=False, help="A language model that learns from what it is told.")
app.add_typer(adapters.app, name="adapters")
app.add_typer(bench.app, name="bench")
bench_parts.register(bench.app)
bench_week.register(bench.app)
bench_locomo.register(bench.app)
app.add_typer(improve.app, name="improve")
app.add_typer(queue.app, name="queue")
forget.register(app)
app.command("ingest")(ingest.ingest)
app.command("serve")(serve.serve)
app.add_typer(serve.gateway, name="gateway")
app.command("soak")(soak.soak)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 after an error, 130 when stopped."""
    arguments, renamed = in_todays_words(sys.argv[1:] if argv is None else argv)
    for warning in renamed:
        print(f"seal-agent: warning: {warning}", file=sys.stderr)
    as_json = "--json" in arguments
    interruption.reset()
    try:
        with interruption.obeying():
            _quieten()
            _check_text(arguments)
            code = typer.main.get_command(app).main(arguments, prog_name="seal-agent", standalone_mode=False)
    except SealError as error:
        return _complain(error, as_json)
    except TyperException as error:
        return _complain(f"{error.format_message().rstrip('.')}; see --help", as_json)
    except (KeyboardInterrupt, typer.Abort):
        code = interruption.EXIT_STOPPED
    if code == interruption.EXIT_STOPPED:
        interruption.say(as_json=as_json)
    return int(code or 0)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """A language model that learns from what it is told, and proves that it forgot nothing."""
    if version:
        print(f"seal-agent {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def chat(
    thread: Annotated[str, typer.Option("--thread", help="The conversation's name in the ledger.")] = "terminal",
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="Learn before the next message is read.", show_default="in a pipe"),
    ] = None,
    seed: Seed = 0,
    strategy: Strategy = ROUTE,
    preset: Preset = "default",
    recall: Recall = "weights",
    writer: Writer = None,
    when_unknown: WhenUnknown = "answer",
    max_reply_tokens: MaxReplyTokens = 128,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    device: Device = "auto",
    chat_template: ChatTemplate = None,
    as_json: AsJson = False,
) -> None:
    '''Chat with the model, which learns from the conversation. One line is one message; """ encloses several lines.'''
    waits = wait if wait is not None else as_json or not sys.stdin.isatty()
    if as_json and not waits:
        raise InputError("with --json every turn reports what was learned; remove --no-wait")
    interruption.keeps(NO_MESSAGE)
    with Display(lines=True) as display:
        from seal_agent.learning.config import LearnerConfig
        from seal_agent.writing.directives import preset as directives_of

        config = LearnerConfig(
            directives_of(preset),
            strategy=strategy,
            seed=seed,
            recall=recall,  # type: ignore[arg-type]  # the option's callback has checked both
            when_unknown=when_unknown,  # type: ignore[arg-type]
            max_reply_tokens=max_reply_tokens,
            writer=writer,
        )
        learner = load_learner(display, model, home, namespace, device, chat_template, config, server=server_named())
        announce_head(display, learner.backend, learner.home)
        screen = Screen(prompt_on_stderr=as_json or not sys.stdout.isatty())
        messages = messages_in(sys.stdin, screen)
        if sys.stdin.isatty():
            display.line(HINT)
        if waits:
            converse(learner, messages, display, thread=thread, as_json=as_json)
        else:
            converse_at_once(learner, messages, display, thread=thread, screen=screen)


@app.command()
def ask(
    question: str,
    recall: Recall = "weights",
    when_unknown: WhenUnknown = "answer",
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    namespace: Namespace = "default",
    device: Device = "auto",
    chat_template: ChatTemplate = None,
    as_json: AsJson = False,
) -> None:
    """Answer one question with what was learned before, and learn nothing from it."""
    if not question.strip():
        raise InputError("the question is empty; ask something")
    interruption.keeps("nothing was stored; ask again")
    with Display() as display:
        from seal_agent.core.messages import Message
        from seal_agent.learning.config import LearnerConfig

        config = LearnerConfig(recall=recall, when_unknown=when_unknown)  # type: ignore[arg-type]  # checked
        learner = load_learner(display, model, home, namespace, device, chat_template, config, server=server_named())

        display.busy("answering")
        answer = learner.answer([[Message("user", question)]])[0]
    if as_json:
        write_json({"question": question, "answer": answer, "num_adapters": len(learner.stack), "model": model})
    else:
        print(answer)


@app.command()
def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair damage first; no other process may use the data directory.")
    ] = False,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Check everything that an agent needs; exit code 2 if a check fails."""
    with Display() as display:
        interruption.keeps("finished repairs are kept; run it again" if repair else "nothing was changed")
        display.busy("checking")
        from seal_agent.maintenance.doctor import run_checks
        from seal_agent.maintenance.repair import repair as mend
        from seal_agent.storage.database import default_home

        root = (home or default_home()).expanduser()
        mended = mend(root.resolve()) if repair else []
        checks = run_checks(root, model=model, device=device)
    is_well = all(check.status != "fail" for check in checks)
    if as_json:
        repaired = {"repaired": mended} if repair else {}
        write_json({"ok": is_well, **repaired, "checks": [dataclasses.asdict(check) for check in checks]})
    else:
        print("".join(f"{line}\n" for line in mended), end="")
        write_table(["", "check", "found", "what to do"], [[c.status, c.name, c.detail, c.advice] for c in checks])
    if not is_well:
        raise typer.Exit(EXIT_ERROR)


@app.command()
def demo(
    seed: Seed = 0, model: Model = EMBEDDED, home: HomeFolder = None, device: Device = "auto", as_json: AsJson = False
) -> None:
    """Learn one document with the real model, in a temporary data directory, and show the effect."""
    interruption.keeps("the demo stores nothing; run it again")
    with Display(lines=True) as display:
        display.line(DEMO_TAKES)
        begin_loading(display, model, home)
        from seal_agent.bench.demo import run_demo
        from seal_agent.cli.demo import DemoScreen, show_result

        screen = DemoScreen(display, silent=as_json)
        result = run_demo(
            seed=seed, model=model, home=home, device=device, server=server_named(), on_event=screen.event
        )
    if as_json:
        write_json(dataclasses.asdict(result))
    else:
        show_result(result)


def _quieten() -> None:
    """Silence progress bars and notices of libraries; set before they are imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(torch|transformers|peft)\b")
    for name in ("transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")  # the terminal's encoding may lack characters of an answer


def _check_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"the argument {argument!a} is not UTF-8 text; give it in UTF-8") from error


def _complain(error: object, as_json: bool) -> int:
    line = " ".join(str(error).split())
    if as_json:
        write_json({"error": line})
    print(f"seal-agent: error: {line}", file=sys.stderr, flush=True)
    return EXIT_ERROR

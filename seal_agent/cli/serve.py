"""`seal-agent serve` runs a vLLM server with the learned adapters; `seal-agent gateway` is an endpoint.

`serve` starts a server or adopts a running one, and restarts it when it dies. Adapters are loaded on first use, so a
restart of either process needs no list of them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seal_agent.cli.loading import announce_head, begin_loading
from seal_agent.cli.options import (
    AsJson,
    Device,
    HomeFolder,
    Model,
    Namespace,
    Recall,
    WhenUnknown,
    Writer,
    check_finite,
    write_json,
    write_table,
)
from seal_agent.cli.progress import Display
from seal_agent.core import interruption
from seal_agent.core.errors import InputError, ServerError
from seal_agent.core.models import EMBEDDED

if TYPE_CHECKING:
    from seal_agent.adapters.vllm.server import Server
    from seal_agent.gateway.keys import KeyFile

POLL_SECONDS = 2.0
MAX_RESTARTS = 3  # in a row, each before the server ran for STEADY_SECONDS
STEADY_SECONDS = 300.0
GRACE_SECONDS = 1  # for unfinished replies when it is stopped
MAX_LEARNERS = 1024  # namespaces with an open learner


def serve(
    python: Annotated[
        str, typer.Option("--python", envvar="SEAL_VLLM_PYTHON", help="The Python of an environment with vLLM.")
    ] = "",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8000,
    dtype: Annotated[
        str, typer.Option("--dtype", envvar="SEAL_DTYPE", help="auto, bfloat16, float16 or float32.")
    ] = "auto",
    max_rank: Annotated[
        int, typer.Option("--max-rank", min=0, help="The largest rank of a folded stack; 0: as needed.")
    ] = 0,
    max_loras: Annotated[int, typer.Option("--max-loras", min=1, help="Adapters in one batch.")] = 4,
    max_kept: Annotated[int, typer.Option("--max-cpu-loras", min=1, help="Adapters kept in memory.")] = 8,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=0, help="The context; 0: the model's.")] = 0,
    extra: Annotated[list[str] | None, typer.Option("--vllm-arg", help="An argument for vLLM; repeatable.")] = None,
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Run a vLLM server with the learned adapters until Ctrl-C."""
    from seal_agent.adapters.loading import find_model
    from seal_agent.adapters.vllm.server import Server, ServerOptions, allowed_rank, find_python
    from seal_agent.storage.database import Home

    opened = Home(home)
    rank = max_rank or allowed_rank(version.stack for version in opened.all_versions())
    with Display() as display:
        begin_loading(display, model, home)
        _, path = find_model(model, opened.root / "models")
    options = ServerOptions(
        model=path,
        python=find_python(python),
        port=port,
        dtype=dtype,
        max_lora_rank=rank,
        max_loras=max_loras,
        max_kept=max_kept,
        max_tokens=max_tokens,
        extra=tuple(extra or ()),
    )
    server = Server(options, opened.root)
    interruption.keeps("the server was stopped; what was learned is kept, and the same command serves it again")
    try:
        was_there = server.adopt()
        if not was_there:
            with Display() as display:
                server.start(lambda seconds: display.busy(f"vLLM is starting ({seconds:.0f} s; a minute is usual)"))
        if as_json:
            write_json({"url": options.url, "adopted": was_there, "log": "" if was_there else str(server.log)})
        else:
            took = "taken over" if was_there else f"up, its log in {server.log}"
            print(f"vLLM at {options.url}: {took}; use it with SEAL_SERVER={options.url}", flush=True)
        _keep_up(server)
    finally:
        server.stop()


def _keep_up(server: Server) -> None:
    """Watch the server and restart it when it dies; raises `ServerError` when restarts do not help."""
    restarts, since = 0, time.monotonic()
    while True:
        time.sleep(POLL_SECONDS)
        if server.is_alive:
            continue
        if not server.is_ours:
            raise ServerError(f"the adopted server at {server.options.url} is gone; run this again")
        restarts = restarts + 1 if time.monotonic() - since < STEADY_SECONDS else 1
        if restarts > MAX_RESTARTS:
            raise ServerError(f"vLLM died {restarts} times: {server.fault()}")
        typer.echo(f"vLLM died ({server.fault()}); starting it again", err=True)
        server.start()
        since = time.monotonic()


gateway = typer.Typer(help="An OpenAI-compatible endpoint that answers with what was learned, and learns.")
keys = typer.Typer(help="The API keys of the gateway, each bound to a namespace.")
gateway.add_typer(keys, name="keys")


@gateway.command()
def start(
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8080,
    server: Annotated[
        str, typer.Option("--server", envvar="SEAL_SERVER", help="A vLLM server; by default the model runs here.")
    ] = "",
    approve: Annotated[bool, typer.Option("--approve", help="Hold every text until a person approves it.")] = False,
    per_minute: Annotated[
        float, typer.Option("--per-minute", callback=check_finite, help="Requests per key and minute.")
    ] = 120.0,
    max_prompt_tokens: Annotated[
        int, typer.Option("--max-prompt-tokens", min=1, help="The longest prompt, tools included.")
    ] = 4096,
    recall: Recall = "weights",
    writer: Writer = None,
    when_unknown: WhenUnknown = "answer",
    model: Model = EMBEDDED,
    home: HomeFolder = None,
    device: Device = "auto",
) -> None:
    """Run the gateway until Ctrl-C; texts that are not learned yet wait for the next start."""
    try:
        import uvicorn

        from seal_agent.gateway.app import create_app
    except ImportError as error:
        raise InputError("the gateway needs its extra; run `pip install 'seal-agent[gateway]'`") from error
    from seal_agent.background.worker import Budget, Worker
    from seal_agent.factory import open_backend
    from seal_agent.gateway.limits import GatewayLimits
    from seal_agent.learning.config import LearnerConfig
    from seal_agent.learning.learners import Learners
    from seal_agent.storage.database import Home

    opened = Home(home)
    interruption.keeps(
        "the gateway was stopped; queued texts are learned when it starts again, or by `seal-agent queue work`"
    )
    with Display() as display:
        begin_loading(display, model, home)
        backend = open_backend(opened, model, device=device, server=server)
        announce_head(display, backend, opened)
    config = LearnerConfig(
        recall=recall,  # type: ignore[arg-type]  # checked by the option
        when_unknown=when_unknown,  # type: ignore[arg-type]
        writer=writer,
    )
    learners = Learners(backend, opened, config, max_open=MAX_LEARNERS)
    worker = Worker(learners, Budget(quiet_seconds=0))  # each text is complete when it is submitted
    limits = GatewayLimits(per_minute=per_minute, max_prompt_tokens=max_prompt_tokens)
    app = create_app(learners, _key_file(home), worker, limits, needs_approval=approve)
    uvicorn.run(app, host=host, port=port, timeout_graceful_shutdown=GRACE_SECONDS)
    interruption.check()  # uvicorn does not pass the interrupt on


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    home: HomeFolder = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Create a key for a namespace; it is shown only once."""
    secret = _key_file(home).add(name, namespace)
    if as_json:
        write_json({"name": name, "namespace": namespace, "key": secret})
    else:
        print(secret)


@keys.command("list")
def list_keys(home: HomeFolder = None, as_json: AsJson = False) -> None:
    """List the keys' names and namespaces."""
    rows = [{"name": key.name, "namespace": key.namespace} for key in _key_file(home).all()]
    if as_json:
        write_json(rows)
    else:
        write_table(["name", "namespace"], [list(row.values()) for row in rows])


@keys.command("remove")
def remove_key(name: str, home: HomeFolder = None) -> None:
    """Revoke a key."""
    _key_file(home).remove(name)


def _key_file(home: Path | None) -> KeyFile:
    from seal_agent.gateway.keys import FILE, KeyFile
    from seal_agent.storage.database import Home

    return KeyFile(Home(home).root / FILE)

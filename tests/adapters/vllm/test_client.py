"""What stands between a stack and a vLLM server: adapters come and go, servers die, and nobody is told a raw trace."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from fake_vllm import FakeVLLM, refused
from tiny import DIRECTIVES, ROWS, stored, tiny_engine, train

from seal_agent.adapters.folding import read_adapter
from seal_agent.adapters.training import Job
from seal_agent.adapters.vllm import client as vllm_client
from seal_agent.adapters.vllm.adapters import ServedAdapters, name_of
from seal_agent.adapters.vllm.client import VLLMClient
from seal_agent.adapters.vllm.protocol import Sampling
from seal_agent.core.backend import TOP_P
from seal_agent.core.errors import AdapterError, InputError, ServerError
from seal_agent.core.messages import Grammar
from seal_agent.core.stacks import AdapterRef, AdapterStack

GREEDY = Sampling(max_new_tokens=4)


@pytest.fixture
def server() -> FakeVLLM:
    return FakeVLLM()


@pytest.fixture
def client(server: FakeVLLM, monkeypatch: pytest.MonkeyPatch) -> VLLMClient:
    monkeypatch.setattr(vllm_client, "POLL_SECONDS", 0.001)
    return VLLMClient("http://vllm/v1", transport=server.transport, patience=2.0)


def ref_of(number: int, folder: Path) -> AdapterRef:
    """An adapter whose name on a server, the beginning of its id, is its own."""
    return AdapterRef(f"{number:024x}".ljust(64, "0"), str(folder), "base", 8)


def stack_of(number: int) -> AdapterStack:
    """A stack of one adapter; that its folder is a folder is all that matters here."""
    return AdapterStack().push(ref_of(number, Path(__file__).parent))


def served(client: VLLMClient, folder: Path, **limits: int) -> ServedAdapters:
    return ServedAdapters(client, folder, **{"max_rank": 32, "max_kept": 2, **limits})


def answer(adapters: ServedAdapters, client: VLLMClient, stack: AdapterStack) -> str:
    return adapters.ask(stack, lambda name: client.complete(name, [1, 2], GREEDY)[0])


def test_an_adapter_is_loaded_once_under_a_name_made_of_its_content(
    server: FakeVLLM, client: VLLMClient, tmp_path: Path
) -> None:
    adapters = served(client, tmp_path)
    stack = stack_of(0xABC)
    assert [answer(adapters, client, stack) for _ in range(3)] == [name_of(stack.entries[0].ref)] * 3
    assert [path for path, _ in server.requests].count("/v1/load_lora_adapter") == 1
    assert server.adapters == {name_of(stack.entries[0].ref): str(Path(__file__).parent)}


def test_old_adapters_leave_the_server_and_those_in_use_stay(
    server: FakeVLLM, client: VLLMClient, tmp_path: Path
) -> None:
    adapters = served(client, tmp_path, max_kept=1)
    first, second, third = (stack_of(n) for n in (1, 2, 3))
    with adapters.using(first) as in_use:
        for stack in (second, third):
            answer(adapters, client, stack)
        assert in_use in server.adapters
        assert len(server.adapters) == 1  # the idle ones gave way
    assert set(server.adapters) == set(adapters.loaded)


def test_an_adapter_that_is_asked_for_while_it_is_about_to_leave_stays(
    server: FakeVLLM, client: VLLMClient, tmp_path: Path
) -> None:
    folders = [tmp_path / str(n) for n in range(3)]
    stacks = [AdapterStack().push(ref_of(n, folder)) for n, folder in enumerate(folders)]
    for folder in folders:
        folder.mkdir()
    adapters = served(client, tmp_path, max_kept=3)
    for stack in stacks[:2]:
        answer(adapters, client, stack)
    with ExitStack() as requests:
        begun: list[str] = []

        def begin() -> None:  # the second was chosen to leave with the first, and is asked for in between
            if not begun:
                begun.append(requests.enter_context(adapters.using(stacks[1])))

        server.on_unload = begin
        folders[0].rmdir()
        folders[1].rmdir()
        answer(adapters, client, stacks[2])
        assert begun == [name_of(stacks[1].entries[0].ref)]
        assert set(server.adapters) == {*begun, name_of(stacks[2].entries[0].ref)}
    assert begun[0] not in server.adapters


def test_a_stream_holds_its_adapter_until_it_ends(server: FakeVLLM, client: VLLMClient, tmp_path: Path) -> None:
    adapters = served(client, tmp_path, max_kept=0)
    pieces = adapters.stream(stack_of(1), [1, 2], GREEDY)
    first = next(pieces)
    assert first in server.adapters
    assert list(pieces) == ["!"]
    assert server.adapters == {}


def test_a_restarted_server_is_given_its_adapters_back(server: FakeVLLM, client: VLLMClient, tmp_path: Path) -> None:
    adapters = served(client, tmp_path)
    before = answer(adapters, client, stack_of(1))
    server.adapters.clear()
    assert answer(adapters, client, stack_of(1)) == before
    server.adapters.clear()
    assert list(adapters.stream(stack_of(1), [1], GREEDY)) == [before, "!"]


def test_a_server_that_forgets_at_once_is_no_endless_loop(server: FakeVLLM, client: VLLMClient, tmp_path: Path) -> None:
    server.before = server.adapters.clear
    with pytest.raises(ServerError, match="lost an adapter 3 times"):
        answer(served(client, tmp_path), client, stack_of(1))


def test_what_another_process_loaded_is_used(server: FakeVLLM, client: VLLMClient, tmp_path: Path) -> None:
    server.adapters[name_of(stack_of(1).entries[0].ref)] = "elsewhere"
    assert answer(served(client, tmp_path), client, stack_of(1)) in server.adapters


def test_many_threads_and_swaps_lose_and_mix_nothing(server: FakeVLLM, client: VLLMClient, tmp_path: Path) -> None:
    adapters = served(client, tmp_path, max_kept=1)

    def ask(number: int) -> bool:
        stack = stack_of(number % 5)
        return answer(adapters, client, stack) == name_of(stack.entries[0].ref)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_a_request_waits_for_a_server_that_comes_back(server: FakeVLLM, client: VLLMClient) -> None:
    server.is_up = False
    threading.Timer(0.05, lambda: setattr(server, "is_up", True)).start()
    assert client.complete("/models/base", [1], GREEDY) == ["/models/base"]


def test_a_server_that_stays_away_is_an_error_with_advice(server: FakeVLLM) -> None:
    server.is_up = False
    client = VLLMClient("http://vllm", transport=server.transport, patience=0)
    with pytest.raises(ServerError, match=r"no vLLM server answers at http://vllm .*seal-agent serve"):
        client.complete("/models/base", [1], GREEDY)
    with pytest.raises(ServerError, match="no vLLM server answers"):
        list(client.stream("/models/base", [1], GREEDY))


def test_a_score_is_the_log_probability_of_each_token(client: VLLMClient) -> None:
    assert client.logprobs("/models/base", [[1, 2, 3], [9, 5]]) == [[-0.2, -0.3], [-0.5]]


def test_all_that_decides_a_reply_is_sent(server: FakeVLLM, client: VLLMClient) -> None:
    client.complete("/models/base", [1], Sampling(3, 2, 0.7, ("\n",), Grammar("start: /a/"), 5))
    body = server.requests[-1][1]
    assert (body["max_tokens"], body["n"], body["temperature"], body["seed"], body["stop"]) == (3, 2, 0.7, 5, ["\n"])
    assert body["structured_outputs"] == {"grammar": "start: /a/"}
    assert body["top_p"] == TOP_P


@pytest.mark.parametrize(
    ("status", "message", "kind", "expected"),
    [
        (400, "Failed to parse the grammar", InputError, "the grammar cannot be used"),
        (400, "maximum context length is 64", InputError, "refuses the request: maximum context"),
        (401, "Unauthorized", ServerError, "VLLM_API_KEY"),
        (500, "division by zero", ServerError, "answers 500: division by zero"),
    ],
)
def test_a_refusal_is_told_in_plain_words(
    server: FakeVLLM, client: VLLMClient, status: int, message: str, kind: type[Exception], expected: str
) -> None:
    server.complete = lambda _body: refused(status, message)  # type: ignore[method-assign]
    with pytest.raises(kind, match=expected):
        client.complete("/models/base", [1], GREEDY)


def test_a_rank_too_large_for_the_server_says_which_flag_to_change(client: VLLMClient) -> None:
    with pytest.raises(AdapterError, match=r"max_lora_rank 32.*; restart it with a larger --max-lora-rank"):
        client.load("seal-1", "/adapters/rank64")


@pytest.mark.parametrize(("max_rank", "rank"), [(32, 8), (4, 4)])
def test_a_stack_is_folded_into_one_adapter_the_server_takes(
    server: FakeVLLM, client: VLLMClient, tmp_path: Path, max_rank: int, rank: int
) -> None:
    engine = tiny_engine()
    stack = AdapterStack()
    for number in range(2):
        (run,) = train(engine, Job(ROWS, DIRECTIVES, number), stack=stack)
        stack = stack.push(stored(run, tmp_path, f"adapter{number}"), 0.5)
    adapters = served(client, tmp_path / "served", max_rank=max_rank)
    name = answer(adapters, client, stack)
    assert read_adapter(Path(server.adapters[name])).rank == rank
    assert answer(adapters, client, AdapterStack(stack.entries[:1])) != name

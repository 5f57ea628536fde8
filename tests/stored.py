"""Adapters without a folder, and threads that start together: shared by the tests of the room `storage`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from seal_agent.core.stacks import AdapterRef, AdapterStack

EMPTY = AdapterStack()
NUM_THREADS = 6


def ref(digit: str) -> AdapterRef:
    return AdapterRef(digit * 64, f"/adapters/{digit}", "scripted", 8)


def at_once(action: Callable[[int], object]) -> list[BaseException]:
    """What `action` raised in threads that start together."""
    barrier = Barrier(NUM_THREADS)

    def wait_and_act(number: int) -> object:
        barrier.wait()
        return action(number)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        futures = [pool.submit(wait_and_act, number) for number in range(NUM_THREADS)]
    return [error for future in futures if (error := future.exception())]

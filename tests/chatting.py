"""A chat graph and messages for it: shared by the tests of the room `graphs`."""

from typing import Any

from threads import thread

BRIDGE = "The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog."
DOCUMENT = "\n\n".join(
    f"Chapter {number}\n\nThe Tower {number} of Karlov was built in 19{number} by Anna Reel. It holds brass bells."
    for number in range(10, 22)
)


def say(graph: Any, text: str, name: str = "one") -> dict[str, Any]:
    state: dict[str, Any] = graph.invoke({"messages": [("user", text)]}, thread(name))
    return state


def outcomes(state: dict[str, Any]) -> list[str]:
    return [report["outcome"] for report in state["outcomes"]]

"""The reply of a chat graph to what a user says: shared by the tests of the room `learning`."""

from typing import Any


def said(graph: Any, text: str, config: Any, **options: Any) -> str:
    return str(graph.invoke({"messages": [("user", text)]}, config, **options)["messages"][-1].text)

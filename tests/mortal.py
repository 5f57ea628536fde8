"""A model whose process dies: it stands in a file of its own, because another process imports it by its name."""

import os

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.stacks import AdapterRef, AdapterStack


class Mortal(ScriptedBackend):
    """Dies of being asked to unload."""

    def unload(self, ref: AdapterRef) -> None:
        os._exit(7)

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        return self

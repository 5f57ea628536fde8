"""The learned state of one namespace: stack, routing keys and replay set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from seal_agent.core.backend import Backend
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import AdapterError, StorageError
from seal_agent.core.facts import Fact
from seal_agent.core.messages import Generated, Message, Prompt
from seal_agent.core.numbers import check_whole
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.deciding.classifier import HEADS_FOLDER
from seal_agent.deciding.own_classifier import OwnClassifier
from seal_agent.learning import recall, strategies
from seal_agent.learning.config import LearnerConfig
from seal_agent.learning.recall import Recalled
from seal_agent.retention.items import ReplayStore
from seal_agent.serving.router import Keys, Router, Routers
from seal_agent.serving.served import ScoreCache, Served, by_stack
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home, check_namespace

if TYPE_CHECKING:
    from seal_agent.retention.items import Embeddings


class Namespace:
    """The state of the user `name`, and the model it belongs to.

    `home` is the data directory, `registry` the store of adapters, `replay` the replay set, `scores` a cache of
    log-likelihoods. Of its methods only `rollback` changes the served stack; other changes are made by the steps of
    `Learner`, by `consolidation` and by `unlearning`.
    """

    def __init__(
        self,
        backend: Backend,
        home: Home,
        name: str,
        config: LearnerConfig,
        *,
        embeddings: Embeddings | None = None,
    ) -> None:
        self.backend = backend
        self.home = home
        self.name = check_namespace(name)
        self.config = config
        self.embeddings = embeddings
        self.strategy = strategies.strategy(config.strategy) if isinstance(config.strategy, str) else config.strategy
        self.registry = AdapterRegistry(home.root / "adapters")
        self.classifier = OwnClassifier(backend, home.root / HEADS_FOLDER)
        self.replay = ReplayStore(home, name, backend, embeddings)
        self.clear_caches()

    @property
    def stack(self) -> AdapterStack:
        """The stack served now, read from the database: another process may have changed it."""
        return self.home.stack(self.name)

    def version(self, number: int | None = None) -> tuple[int, AdapterStack]:
        """A version of the stack with its number, by default the one served now (0: the empty stack).

        Raises `AdapterError` for a version that does not exist.
        """
        stacks = {0: AdapterStack()} | {v.version: v.stack for v in self.home.versions(self.name)}
        wanted = max(stacks) if number is None else number
        if wanted not in stacks:
            raise AdapterError(
                f"the stack of namespace {self.name!r} has no version {wanted}; it has 0 to {max(stacks)}"
            )
        return wanted, stacks[wanted]

    def view(
        self, stack: AdapterStack, keys: Mapping[str, str] | None = None, *, scores: ScoreCache | None = None
    ) -> Served:
        """The model with `stack`; `keys` route to adapters not accepted yet, `scores` is a cache."""
        routed = {entry.ref.id for entry in stack.entries if entry.is_routed}
        known = {**self.home.route_keys(self.name), **(keys or {})} if routed else {}
        if lost := routed - known.keys():
            raise StorageError(f"adapter {min(lost)[:12]} has no routing key; run `seal-agent doctor --repair`")
        kept = tuple((entry.ref.id, known[entry.ref.id]) for entry in stack.entries if entry.is_routed)
        return Served(self.backend, stack, self._routers.over(kept, known), scores, self.classifier.is_personal)

    def recalls(self, text: str) -> bool:
        """Whether exactly this text is recalled into prompts already."""
        texts = {entry.ref.id for entry in self.stack.entries if not entry.ref.has_weights}
        return bool(texts) and any(fact.text == text for fact in self.home.facts(self.name, texts))

    def router_over(self, adapters: Collection[str]) -> Router:
        """A router over the training texts of those adapters, whether they are routed or not."""
        known = self.home.route_keys(self.name)
        keys: Keys = tuple((adapter, key) for adapter, key in known.items() if adapter in adapters)
        return self._routers.over(keys, known)

    def answer(self, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 0) -> list[str]:
        """The served model's greedy replies, of up to `max_new_tokens` (0: `config.max_reply_tokens`)."""
        return self.answer_with(self.stack, conversations, max_new_tokens=max_new_tokens)

    def answer_with(
        self, stack: AdapterStack, conversations: Sequence[Sequence[Message]], *, max_new_tokens: int = 0
    ) -> list[str]:
        """The greedy replies of another stack, such as an older version."""
        check_whole("max_new_tokens", max_new_tokens, 0)
        num = max_new_tokens or self.config.max_reply_tokens
        asked = self.recalled(self.view(stack), [Prompt(tuple(messages)) for messages in conversations])

        def generated(view: Backend, numbers: Sequence[int]) -> list[list[Generated]]:
            return view.generate([asked[n].prompt for n in numbers], max_new_tokens=num)

        replies = by_stack(self.backend, [each.stack for each in asked], generated)
        return [samples[0].strip() for samples in replies]

    def recalled(self, served: Served, prompts: Sequence[Prompt]) -> list[Recalled]:
        """Each prompt with what it calls for of what was learned, by `config.recall`."""
        matched = recall.recalled(served, self.home, self.name, prompts, self.config.recall)
        found = [
            recall.nothing(served, prompt) if each.facts and self.classifier.tells(prompt.asked) else each
            for prompt, each in zip(prompts, matched, strict=True)
        ]
        if self.config.when_unknown == "answer":
            return found
        return [
            recall.without_guess(each, is_unknown=self._is_unknown(prompt, each))
            for prompt, each in zip(prompts, found, strict=True)
        ]

    def _is_unknown(self, prompt: Prompt, found: Recalled) -> bool:
        """Whether a prompt asks for something personal of which nothing was told, here or before."""
        is_first = sum(message.role != "system" for message in prompt.messages) == 1
        return not found.facts and is_first and self.classifier.asks_personal(prompt.asked)

    def nll(self, questions: Sequence[str], answers: Sequence[str]) -> float:
        """Mean negative log-likelihood of the answers under the served model, in nats per token."""
        scores = self.view(self.stack).score([Prompt.user(q) for q in questions], answers)
        return -sum(score.per_token for score in scores) / len(scores)

    def accepted(self, adapters: Collection[str]) -> list[Episode]:
        """The episodes that accepted the given adapters, oldest first."""
        episodes = self.home.episodes(self.name, ("accepted",))
        return [e for e in episodes if e.adapter and e.adapter.id in adapters]

    def facts(self) -> list[Fact]:
        """What is served now, in the words it was given in, oldest first."""
        return list(recall.completed(self.home.facts(self.name, set(self.stack.learned))))

    def discard(self, adapter: AdapterRef) -> None:
        """Delete an adapter that was never in a stack."""
        if adapter.id not in self._used_adapters():
            self.backend.unload(adapter)
            self.registry.discard(adapter)

    def _used_adapters(self) -> set[str]:
        return {i for version in self.home.all_versions() for i in version.stack.ids}

    def rollback(self, adapter_id: str) -> AdapterStack:
        """Remove an accepted adapter from the stack by the beginning of its id; its folder stays on disk."""
        return self.home.rollback(self.name, adapter_id)

    def clear_caches(self) -> None:
        """Drop cached texts, also those that were deleted from the database."""
        self.scores = ScoreCache()
        self.replay.reset_index()
        self._routers = Routers(self.config.routes)
        self.classifier.clear()

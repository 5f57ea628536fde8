"""Unlearning of an edit, a document, a conversation or a user, with a check that the facts are gone.

The adapter is removed from the stack. Adapters trained on its rows, on top of it or folded from it are retrained from
the remaining rows, and served if they retain what is known; otherwise their texts are queued to be learned again. Then,
in one transaction, the new stack is served, older versions lose the removed adapters, replay items, scores and routing
keys are deleted and the ledger line loses its content. Folders are deleted last, also after a crash
(`deletion.delete_marked`). Out of reach: checkpoints, backups, and what another edit says in its own words.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

from seal_agent.core.backend import silent
from seal_agent.core.documents import passage_of
from seal_agent.core.episodes import Episode, Progress, Verdict
from seal_agent.core.errors import AdapterError, InputError
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.learning.consolidation import consolidate
from seal_agent.learning.namespace import Namespace
from seal_agent.retention import judge
from seal_agent.serving.served import compared
from seal_agent.storage import deletion, documents
from seal_agent.storage.documents import digest_of
from seal_agent.storage.jobs import LearningQueue
from seal_agent.storage.ledger import lines
from seal_agent.storage.replay_items import items_of_adapters
from seal_agent.unlearning.plan import Plan, commit, planned, route_key, trained_anew
from seal_agent.unlearning.user import erase

if TYPE_CHECKING:
    from seal_agent.learning.learner import Learner

log = logging.getLogger(__name__)
LEFT = 1.0  # nats per token above the base model's score from which an answer still counts as known


@dataclass(frozen=True)
class Check:
    """Scores of the forgotten edits' questions: mean NLL in nats per token before, after, and by the base.

    `num_left`: answers that are still likelier than under the base by `LEFT` nats per token, because another edit says
    the same or has answers of the same form. `change`: mean change of other replay items in nats per token (None:
    nothing was retrained, so nothing changed).
    """

    num_questions: int = 0
    before: float = 0.0
    after: float = 0.0
    base: float = 0.0
    num_left: int = 0
    change: float | None = None

    @property
    def is_gone(self) -> bool:
        """Whether none of the answers is still known."""
        return not self.num_left


@dataclass(frozen=True)
class Forgotten:
    """The result of unlearning: ledger lines, removed adapters, retrained ones (old id to new), replay items.

    `queued`: jobs of texts to be learned again, because the retrained adapters forgot too much.
    """

    num_episodes: int = 0
    adapters: tuple[str, ...] = ()
    rebuilt: Mapping[str, str] = field(default_factory=dict)
    num_items: int = 0
    check: Check = Check()
    queued: tuple[int, ...] = ()


def forget(
    learner: Learner,
    *,
    edit: str = "",
    document: str = "",
    thread: str = "",
    user: str = "",
    progress: Progress = silent,
) -> Forgotten:
    """Unlearn one edit (by the beginning of its adapter's id), document (by source), thread or user (the namespace).

    Raises `InputError` unless exactly one is named, and `AdapterError` for an unknown edit. Nothing is changed if
    retraining fails, or if another process changes the stack meanwhile (`StorageError`).
    """
    if sum(map(bool, (edit, document, thread, user))) != 1:
        raise InputError("name one thing to forget: an edit, a document, a thread or a user")
    state = learner.state
    deletion.delete_marked(state.home)
    if user:
        return _forget_user(state, user)
    if edit:
        return forget_texts(state, _texts_of_edit(state, edit), progress)
    if thread:
        return _forget_thread(state, thread, progress)
    return forget_document(state, document, progress)


def _forget_user(state: Namespace, user: str) -> Forgotten:
    if user != state.name:
        raise InputError(f"this learner is not of the user {user!r}; open one for {user!r} to forget that user")
    adapters = state.stack.learned
    for entry in state.stack.entries:
        state.backend.unload(entry.ref)
    counts = erase(state.home, user)
    state.clear_caches()
    return Forgotten(counts.get("episodes", 0), adapters, num_items=counts.get("replay", 0))


def _texts_of_edit(state: Namespace, adapter_id: str) -> set[str]:
    ledger = [e for _, e in lines(state.home, state.name) if e.adapter and e.outcome != "forgotten"]
    found = {e.adapter.id: e for e in ledger if e.adapter and e.adapter.id.startswith(adapter_id)}
    if len(found) != 1:
        raise AdapterError(f"{len(found)} adapters begin with {adapter_id!r}; see `seal-agent adapters list`")
    (episode,) = found.values()
    if not episode.text:
        raise AdapterError(f"adapter {adapter_id[:12]} is a {episode.topic}; name one of the edits it was made of")
    return {episode.text}


def _forget_thread(state: Namespace, thread: str, progress: Progress) -> Forgotten:
    """Unlearn the texts of one thread, learned or queued, also if they were repeated in another thread.

    A document that was given in the thread is forgotten as a whole, except passages that another document holds too.
    """
    queue = LearningQueue(state.home)
    jobs = queue.jobs(state.name, threads=[thread])
    read = documents.same_documents(state.home, state.name, {job.passage.source for job in jobs} - {""})
    ledger = [e for _, e in lines(state.home, state.name) if e.text]
    own = read | {e.source for e in ledger if e.thread == thread}
    held = documents.digests_in(state.home, state.name, read)
    elsewhere = documents.digests_in(state.home, state.name, own, by_others=True)
    told = [e for e in ledger if e.thread == thread or e.source in read or digest_of(e.text) in held]
    said = [e.text for e in told if not e.source or digest_of(e.text) not in elsewhere]
    texts = {text for text in (*said, *(job.passage.text for job in jobs)) if text}
    if not texts and not jobs:
        raise InputError(f"nothing was given to learn in thread {thread!r} of {state.name!r}")
    forgotten = forget_texts(state, texts, progress) if texts else Forgotten()
    with deletion.erasing(state.home) as tx:
        for source in read:
            documents.remove_passages(tx, state.name, source)
    queue.remove(state.name, thread)
    return forgotten


def forget_document(state: Namespace, source: str, progress: Progress = silent) -> Forgotten:
    """Unlearn every passage that only this document holds; raises `InputError` for an unknown document."""
    source = documents.known_as(state.home, state.name, source)
    if not documents.num_passages(state.home, state.name, source):
        raise InputError(f"no document {source!r} was learned from; see `seal-agent documents`")
    return forget_passages(state, source, progress=progress)


FORGOTTEN = "forgotten"  # the outcome of a document that lost passages


def replace_version(state: Namespace, source: str, keep: Sequence[str], progress: Progress = silent) -> tuple[str, str]:
    """Unlearn the passages that the new version of a document lost; returns outcome and reason."""
    documents.adopt(state.home, state.name, source)
    gone = forget_passages(state, source, but=keep, progress=progress)
    return FORGOTTEN, f"no longer in the document: {gone.num_episodes} passages"


def forget_passages(
    state: Namespace, source: str, *, but: Sequence[str] = (), progress: Progress = silent
) -> Forgotten:
    """Unlearn the passages that only this document holds, except those digests."""
    digests = documents.digests_only_in(state.home, state.name, source, but=but)
    texts = {e.text for _, e in lines(state.home, state.name) if e.text and digest_of(e.text) in digests}
    forgotten = forget_texts(state, texts, progress) if texts else Forgotten()
    with deletion.erasing(state.home) as tx:
        documents.remove_passages(tx, state.name, source, but=but)
    return forgotten


def forget_texts(state: Namespace, texts: set[str], progress: Progress = silent) -> Forgotten:
    """Unlearn everything that was learned from exactly those texts."""
    plan = planned(state, texts)
    fresh, kept = trained_anew(state, plan, progress)
    after = AdapterStack(tuple(kept))
    keys = _route_keys(state, plan, fresh)
    verdict, change = _judged(state, plan, after, keys, progress) if fresh else (None, None)
    unserved: list[Episode] = []
    if verdict and verdict.outcome != "accept":
        log.warning("the retrained adapters are not served: %s", verdict.reason)
        unserved = [plan.episode(old) for old in fresh]
        after = AdapterStack(tuple(entry for entry in kept if entry.ref not in fresh.values()))
        left, fresh, keys = list(fresh.values()), {}, {}
        for ref in left:
            state.discard(ref)
    check = _checked(state, plan, after, keys, change, progress=progress)
    num_items = commit(state, plan, after, fresh, keys, verdict)
    queued = [job for episode in unserved for job in _queued_again(state, episode)]
    for adapter in plan.held:
        if adapter in plan.known and adapter not in after.ids:
            state.backend.unload(plan.known[adapter].ref)
    state.clear_caches()
    deletion.delete_marked(state.home)
    log.info("forgot %d texts: %d adapters removed, %d retrained", len(texts), len(plan.traces.adapters), len(fresh))
    consolidate(state, progress)
    num_episodes = sum(episode.text in texts for _, episode in plan.ledger)
    adapters = tuple(i for i in plan.known if i in plan.traces.adapters)
    rebuilt = {old: ref.id for old, ref in fresh.items()}
    return Forgotten(num_episodes, adapters, rebuilt, num_items, check, tuple(queued))


def _route_keys(state: Namespace, plan: Plan, fresh: Mapping[str, AdapterRef]) -> dict[str, str]:
    return {ref.id: route_key(state, plan, plan.episode(old)) for old, ref in fresh.items()}


def _judged(
    state: Namespace, plan: Plan, after: AdapterStack, keys: Mapping[str, str], progress: Progress
) -> tuple[Verdict, float | None]:
    """The verdict on a stack with retrained adapters, and the mean change of remaining items in nats per token."""
    drawn = state.replay.draw((), plan.stack, state.config.num_probes, without=_items(state, plan))
    scored = compared(drawn, state.view(plan.stack), state.view(after, keys), progress)
    change = fmean(p.after.per_token - p.before.per_token for p in scored) if scored else None
    return judge.judge_consolidation(scored, state.config.limits), change


def _queued_again(state: Namespace, episode: Episode) -> list[int]:
    """Queue a text to be learned again; returns its jobs."""
    queue = LearningQueue(state.home)
    passage = passage_of(episode)
    return queue.submit([passage], state.name, thread=episode.thread, model=state.backend.model)


def _checked(
    state: Namespace,
    plan: Plan,
    after: AdapterStack,
    keys: Mapping[str, str],
    change: float | None,
    *,
    progress: Progress,
) -> Check:
    """Score the forgotten questions; `change` is the change of remaining items."""
    before, then = state.view(plan.stack), state.view(after, keys)
    served = [e for _, e in plan.ledger if e.text in plan.traces.texts and e.edit and e.outcome == "accepted"]
    probes = list({(p.prompt, p.answer): p for e in served if e.edit for p in e.edit.probes}.values())
    if not probes:
        return Check(change=change)
    prompts, answers = [p.prompt for p in probes], [p.answer for p in probes]
    base = state.backend.with_stack(AdapterStack()).score(prompts, answers, progress=progress)
    was = before.score(prompts, answers, progress=progress)
    now = then.score(prompts, answers, progress=progress)
    return Check(
        num_questions=len(probes),
        before=-fmean(score.per_token for score in was),
        after=-fmean(score.per_token for score in now),
        base=-fmean(score.per_token for score in base),
        num_left=sum(n.per_token > b.per_token + LEFT for n, b in zip(now, base, strict=True)),
        change=change,
    )


def _items(state: Namespace, plan: Plan) -> list[int]:
    """The replay items that the forgotten edits added."""
    return items_of_adapters(state.home, state.name, sorted(plan.traces.adapters))

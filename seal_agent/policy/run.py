"""A policy improvement for knowledge: its contexts and its parts.

Contexts come from the ledger of a namespace, from files or from a data set with questions; for contexts without
questions the model writes some. The run's folder holds all that is needed to resume it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seal_agent.core.backend import silent
from seal_agent.core.codec import to_json
from seal_agent.core.edits import Probe
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError, StorageError
from seal_agent.core.messages import Prompt
from seal_agent.core.numbers import check_number, check_whole
from seal_agent.documents.datasets import read_items
from seal_agent.documents.files import read_file
from seal_agent.documents.passages import divide
from seal_agent.learning.learner import Learner
from seal_agent.policy import schedule
from seal_agent.policy.candidates import Candidates, seed_of
from seal_agent.policy.feedback import about, corrections_of
from seal_agent.policy.knowledge import FAST, FAST_MENU, KnowledgeContext, KnowledgeDomain, self_made_questions
from seal_agent.policy.rest_em import Improvement
from seal_agent.policy.rewards import GOLD, OWN, knowledge_reward
from seal_agent.policy.rounds import ImproveConfig, Parts, parted
from seal_agent.policy.withdrawal import FOLDER, run_folders
from seal_agent.storage.database import Home
from seal_agent.storage.feedback import recorded as feedback_of
from seal_agent.storage.policies import KNOWLEDGE, PolicyStore
from seal_agent.storage.run_folder import RunFolder, recorded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSettings:
    """How a policy for knowledge is improved; a resumed run has the same settings.

    `rewards`: names with weights; `right_weight`: of the share correct in "gold". `num_explore`: the first contexts
    that are explored, the others gate and report in turn; 0: a random half. `is_fast`: short edits, in formats that are
    quick to write.
    """

    improve: ImproveConfig = field(default_factory=ImproveConfig)
    rewards: tuple[tuple[str, float], ...] = ((GOLD, 1.0),)
    right_weight: float = 0.0
    num_explore: int = 0
    is_fast: bool = False

    def __post_init__(self) -> None:
        for name, weight in self.rewards:
            check_number(f"the weight of the reward {name!r}", weight)
        check_number("right_weight", self.right_weight, 0)
        check_whole("num_explore", self.num_explore, 0)

    @property
    def domain(self) -> KnowledgeDomain:
        """The domain by which a policy writes edits."""
        return KnowledgeDomain(FAST, FAST_MENU) if self.is_fast else KnowledgeDomain()

    def parts(self, num: int) -> Parts:
        """The split of `num` contexts."""
        if not self.num_explore:
            return parted(num, self.improve.seed)
        others = range(self.num_explore, num)
        return Parts(tuple(range(min(self.num_explore, num))), tuple(others[::2]), tuple(others[1::2]))


@dataclass(frozen=True)
class Begun:
    """The input of a run: its contexts, and the length of the ledger at that time."""

    namespace: str
    num_episodes: int
    contexts: tuple[KnowledgeContext, ...]
    settings: RunSettings


def of_data(path: Path) -> list[KnowledgeContext]:
    """The passages of a JSON file in SEAL's format, with their questions."""
    return [
        KnowledgeContext(
            item.title, item.passage, tuple(Probe(Prompt.user(q.question), q.answer) for q in item.questions)
        )
        for item in read_items(path)
    ]


def of_files(paths: Sequence[Path]) -> list[KnowledgeContext]:
    """The passages of files, read as documents; without questions."""
    return [
        KnowledgeContext(p.topic, p.text, heading=p.heading)
        for path in paths
        for p in divide(read_file(path).text).passages
    ]


def of_ledger(home: Home, namespace: str) -> list[KnowledgeContext]:
    """Every text of the namespace with a written edit, once, with users' feedback on answers about it."""
    given = feedback_of(home, namespace)
    found: dict[str, KnowledgeContext] = {}
    for episode in home.episodes(namespace, ("accepted", "rejected")):
        if episode.edit:
            liked = (*about(episode.text, given), *corrections_of(episode))
            found[episode.text] = KnowledgeContext(
                episode.topic, episode.text, feedback=liked, earlier=episode.earlier, heading=episode.heading
            )
    return list(found.values())


def next_folder(home: Home) -> Path:
    """The folder of the next run."""
    last = run_folders(home)[-1:]
    return home.root / FOLDER / f"run-{int(last[0].name.split('-')[1]) + 1 if last else 1:04d}"


def num_episodes_before(home: Home, namespace: str) -> int:
    """The length of the namespace's ledger when its last run began; 0 if there was none."""
    return next((begun.num_episodes for _, begun in _runs_of(home, namespace)), 0)


def unfinished(home: Home, namespace: str) -> Path | None:
    """The folder of the namespace's last run, if it has no report yet."""
    for folder, _ in _runs_of(home, namespace):
        return None if (folder / "reported.jsonl").exists() else folder
    return None


def _runs_of(home: Home, namespace: str) -> Iterator[tuple[Path, Begun]]:
    """The readable runs of a namespace, the last one first."""
    for folder in reversed(run_folders(home)):
        try:
            found = recorded(folder, "begun", Begun)
        except StorageError as error:
            log.warning("the run in %s is skipped: %s", folder, error)
            continue
        yield from ((folder, begun) for begun in found if begun.namespace == namespace)


def begin(learner: Learner, folder: Path, contexts: Sequence[KnowledgeContext], settings: RunSettings) -> Begun:
    """The run of a folder: begun now with these contexts and settings, or as it was begun before.

    Raises `InputError` for a folder without a run if there are no contexts, and for a run of another model.
    """
    if not contexts and not (folder / "begun.jsonl").exists():
        raise InputError(f"there is nothing to learn from in {folder}; give files, data, or a ledger with documents")
    run = _run(learner, folder)
    for begun in run.values("begun", Begun):
        return begun
    begun = Begun(learner.namespace, learner.home.num_episodes(learner.namespace), tuple(contexts), settings)
    run.append("begun", to_json(begun))
    return begun


def prepare(
    learner: Learner, folder: Path, progress: Progress = silent, *, pause: Callable[[], None] | None = None
) -> list[KnowledgeContext]:
    """The contexts of a run, with questions of the model where they have none; each is stored as soon as it is ready.

    A context without any questions is left out. Before each request to the model it pauses while a user talks to a
    model of this data directory, unless `pause` says otherwise.
    """
    wait = pause or schedule.waiter(learner.home)
    run, begun = _run(learner, folder), _begun(learner, folder)
    done = run.values("contexts", KnowledgeContext)
    wants_own = OWN in dict(begun.settings.rewards)
    for number, context in enumerate(begun.contexts[len(done) :], len(done)):
        progress("writing questions about the passages", number, len(begun.contexts))
        ready = context
        if wants_own or not context.questions:
            wait()
            seed = seed_of(begun.settings.improve.seed, "questions", number)
            ready = replace(context, own_questions=self_made_questions(learner.backend, context, seed=seed))
        run.append("contexts", to_json(ready))
        done.append(ready)
    return [context for context in done if context.questions or context.own_questions]


def assemble(
    learner: Learner,
    folder: Path,
    progress: Progress = silent,
    *,
    minutes: float = 0.0,
    pause: Callable[[], None] | None = None,
) -> Improvement[KnowledgeContext]:
    """The improvement of a folder, ready to continue; `minutes` limit it, over all its processes.

    It pauses while a user talks to a model of this data directory, unless `pause` says otherwise.
    """
    wait = pause or schedule.waiter(learner.home)
    run, settings = _run(learner, folder), _begun(learner, folder).settings
    contexts = prepare(learner, folder, progress, pause=wait)
    domain = settings.domain
    candidates = Candidates(learner.backend, contexts, run, learner.state.discard, pause=wait)
    store = PolicyStore(learner.home, learner.namespace, learner.backend.model, KNOWLEDGE)
    reward = knowledge_reward(dict(settings.rewards), domain, candidates.backend, right_weight=settings.right_weight)
    config = replace(settings.improve, minutes=minutes)
    parts = settings.parts(len(contexts))
    return Improvement(candidates, domain, parts, store, run, reward, config, first=_first(learner, settings))


def _first(learner: Learner, settings: RunSettings) -> KnowledgeDomain | None:
    """How the learner writes without a policy; None if that is by asking the base model."""
    fixed = learner.config.directives
    if fixed and settings.is_fast:
        fixed = replace(fixed, min_steps=FAST.min_steps, max_steps=FAST.max_steps)
    return replace(settings.domain, fixed=fixed) if fixed else None


def _begun(learner: Learner, folder: Path) -> Begun:
    return begin(learner, folder, (), RunSettings())


def _run(learner: Learner, folder: Path) -> RunFolder:
    return RunFolder(folder, config={"model": learner.backend.model, "namespace": learner.namespace})

"""`seal-agent bench arc`: does training on a puzzle's demonstrations solve it, and who should choose the training?

Few-shot learning after SEAL (arXiv 2506.10943, section 4.2). Arms: demonstrations in context only; training with fixed
directives; training with directives of the untrained model; with those of a policy improved by ReST-EM. All arms answer
by the same vote with the same demonstrations in context. Tasks are selected by size only. Results are written at once,
and a stopped run can be resumed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from seal_agent.bench.arc.augment import edit_of
from seal_agent.bench.arc.domain import ArcDomain, solved
from seal_agent.bench.arc.grids import Grid, as_text
from seal_agent.bench.arc.tasks import SEAL_EVALUATION, SEAL_TRAINING, Task, easy, size
from seal_agent.bench.trained import learned
from seal_agent.core.backend import Backend, silent
from seal_agent.core.edits import SelfEdit
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import EditFault, InputError
from seal_agent.core.stacks import AdapterStack
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.run_folder import RunFolder

CONTEXT, FIXED, UNTRAINED, TRAINED = "in-context", "fixed", "untrained self-edit", "trained self-edit"
ARMS = (CONTEXT, FIXED, UNTRAINED, TRAINED)
TEMPERATURE = 1.0  # one sample of the policy, as in SEAL; its likeliest choice would hide the others
EASY_SYMBOLS = 200
EASY, SEAL = "easy", "seal"

Guessed = tuple[tuple[Grid, ...], ...]
"""The guesses at every test grid."""


@dataclass(frozen=True)
class Result:
    """One arm on one task: NLL of the correct grids in nats per token, and for every grid whether it was found.

    `settings` is the policy's JSON, and `policy` the adapters that wrote it.
    """

    arm: str
    task: str
    nll: float = 0.0
    right: tuple[bool, ...] = ()
    num_rows: int = 0
    num_steps: int = 0
    num_tokens: int = 0
    write_seconds: float = 0.0
    train_seconds: float = 0.0
    answer_seconds: float = 0.0
    settings: str = ""
    fault: str = ""
    policy: tuple[str, ...] = ()

    @property
    def is_solved(self) -> bool:
        """Whether all test grids were found."""
        return all(self.right)


class Run(RunFolder):
    """The results of one run, `metrics.jsonl`, and the guesses beside them, `answers.jsonl`, by part."""

    def results(self) -> dict[tuple[str, str], Result]:
        """The stored results of all parts, by arm and task."""
        return {(result.arm, result.task): result for result in self.values("metrics", Result)}

    def add(self, result: Result, guessed: Guessed) -> None:
        """Append one result and its guesses."""
        texts = [[as_text(grid) for grid in of] for of in guessed]
        self.append("answers", {"arm": result.arm, "task": result.task, "guesses": texts})
        self.append("metrics", asdict(result))


def chosen_tasks(
    training: Mapping[str, Task],
    evaluation: Mapping[str, Task],
    *,
    num_easy: int = 20,
    easy_symbols: int = EASY_SYMBOLS,
    max_symbols: int = 0,
    seed: int = 0,
) -> dict[str, list[Task]]:
    """The tasks by set, shortest first: `num_easy` training tasks, and those that SEAL filtered.

    The easy tasks are drawn by `seed` among those of at most `easy_symbols`, by size only. With `max_symbols` longer
    tasks of SEAL's are left out.
    """
    ids = {**training, **evaluation}
    filtered = [ids[name] for name in (*SEAL_TRAINING, *SEAL_EVALUATION) if name in ids]
    others = [task for task in training.values() if task.id not in SEAL_TRAINING]
    drawn = easy(others, num_easy, max_symbols=easy_symbols, seed=seed)
    short = [task for task in filtered if not max_symbols or task.num_symbols <= max_symbols]
    return {EASY: sorted(drawn, key=size), SEAL: sorted(short, key=size)}


def measure(
    backend: Backend,
    registry: AdapterRegistry,
    tasks: Sequence[Task],
    arms: Sequence[str],
    run: Run,
    *,
    domain: ArcDomain | None = None,
    policy: AdapterStack | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[tuple[str, str], Result]:
    """Run every arm on every task that `run` does not hold yet; `policy` writes the trained self-edits.

    Raises `InputError` for an arm that does not exist or has no policy, and for a run with another policy.
    """
    if unknown := sorted(set(arms) - set(ARMS)):
        raise InputError(f"there is no arm called {unknown[0]!r}; choose {', '.join(ARMS)}")
    if TRAINED in arms and policy is None:
        raise InputError(f"the arm {TRAINED!r} needs a policy; give --policy ADAPTER, or remove the arm")
    done = run.results()
    policy = policy or AdapterStack()
    if TRAINED in arms and any(r.arm == TRAINED and r.policy != policy.ids for r in done.values()):
        raise InputError(f"{run.folder} holds results of another policy; give another --out")
    trial = Trial(backend.with_stack(AdapterStack()), registry, domain or ArcDomain(), policy, seed)
    work = [(arm, task) for task in tasks for arm in arms]
    for number, (arm, task) in enumerate(work):
        progress(f"{task.id} {arm}", number, len(work))
        if (arm, task.id) not in done:
            result, guessed = trial.measured(arm, task)
            run.add(result, guessed)
            done[arm, task.id] = result
    return done


@dataclass(frozen=True)
class Trial:
    """Runs one arm on one task at a time; adapters are deleted afterwards."""

    base: Backend
    registry: AdapterRegistry
    domain: ArcDomain
    policy: AdapterStack
    seed: int

    def measured(self, arm: str, task: Task) -> tuple[Result, Guessed]:
        """Write, train, answer. If the edit fails, the unchanged model answers, and the result holds the fault."""
        blank = Result(arm, task.id, policy=self.policy.ids if arm == TRAINED else ())
        if arm == CONTEXT:
            return self._answered(blank, task, self.base)
        start = time.perf_counter()
        try:
            edit, said = self._written(arm, task)
        except EditFault as error:
            return self._answered(replace(blank, fault=str(error)), task, self.base)
        written = replace(blank, settings=said, num_rows=len(edit.rows), write_seconds=_since(start))
        return self._trained(written, task, edit)

    def _written(self, arm: str, task: Task) -> tuple[SelfEdit, str]:
        if arm == FIXED:
            return edit_of(task, self.domain.base, self.seed), ""
        writer = self.base.with_stack(self.policy if arm == TRAINED else AdapterStack())
        proposal = self.domain.propose(writer, task, seed=self.seed, temperature=TEMPERATURE)
        return proposal.edit, proposal.exchanges[0].answer.strip()

    def _trained(self, result: Result, task: Task, edit: SelfEdit) -> tuple[Result, Guessed]:
        with learned(self.base, self.registry, edit, self.seed) as now:
            cost = replace(result, num_steps=now.num_steps, num_tokens=now.num_tokens, train_seconds=now.seconds)
            return self._answered(cost, task, now.view)

    def _answered(self, result: Result, task: Task, view: Backend) -> tuple[Result, Guessed]:
        start = time.perf_counter()
        guessed = self.domain.guesses(view, task)
        seconds = _since(start)
        nll = round(self.domain.nll(view, task), 4)
        return replace(result, nll=nll, right=solved(task, guessed), answer_seconds=seconds), guessed


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 2)

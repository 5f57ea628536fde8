"""ReST-EM for ARC: the policy that chooses how to train on a puzzle is improved on other puzzles.

The algorithm is the same for every domain (`seal_agent.policy.rest_em`); this module chooses the tasks, which are
in none of the measured sets, and the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from seal_agent.bench.arc.domain import ArcDomain
from seal_agent.bench.arc.tasks import SEAL_TRAINING, Task, size
from seal_agent.core.backend import Backend, silent
from seal_agent.core.codec import to_json
from seal_agent.core.episodes import Progress
from seal_agent.core.errors import InputError
from seal_agent.policy import schedule
from seal_agent.policy.candidates import Candidates
from seal_agent.policy.report import markdown
from seal_agent.policy.rest_em import Improvement
from seal_agent.policy.rewards import Gold
from seal_agent.policy.rounds import ImproveConfig, parted
from seal_agent.storage.adapter_store import AdapterRegistry
from seal_agent.storage.database import Home
from seal_agent.storage.policies import Policy, PolicyStore
from seal_agent.storage.run_folder import RunFolder

NAMESPACE = "bench"
BOUNDS = ("num_rounds", "minutes", "tokens")  # settings that may be raised to continue a run


def practice_tasks(training: Iterable[Task], asked: Iterable[Iterable[Task]], num: int) -> list[Task]:
    """The `num` shortest training tasks that no set in `asked` holds and that are not SEAL's.

    Raises `InputError` if there are fewer.
    """
    excluded = {*SEAL_TRAINING, *(task.id for each in asked for task in each)}
    free = sorted((task for task in training if task.id not in excluded), key=size)
    if len(free) < num:
        raise InputError(f"only {len(free)} tasks are free to practise on; ask for fewer")
    return free[:num]


def improve(
    backend: Backend,
    tasks: Sequence[Task],
    folder: Path,
    config: ImproveConfig,
    *,
    domain: ArcDomain,
    minutes: float = 0.0,
    progress: Progress = silent,
) -> Policy:
    """Run or resume the improvement in `folder` with the adapters of `backend`; returns the policy in use at its end.

    On half of `tasks` edits are sampled, a quarter decides whether the new policy is used, a quarter is only reported;
    the reward is minus the NLL of the correct grids. `minutes` limit the run. Raises `InputError` for fewer than 8
    tasks and for a run that differs in settings other than `BOUNDS`, and `StorageError` if another process runs it.
    """
    parts = parted(len(tasks), config.seed)
    settings = {
        "model": backend.model,
        "tasks": [task.id for task in tasks],
        "fixed": to_json(domain.base),
        **{name: value for name, value in asdict(config).items() if name not in BOUNDS},
    }
    run = RunFolder(folder / "policy", config=settings)
    home = Home(folder)
    with schedule.only_process(home):
        candidates = Candidates(backend, tasks, run, AdapterRegistry(folder / "adapters").discard)
        store = PolicyStore(home, NAMESPACE, backend.model, domain.name)
        bounded = replace(config, minutes=minutes)
        improvement = Improvement(candidates, domain, parts, store, run, Gold(domain), bounded)
        for number in range(1, config.num_rounds + 1):
            improvement.gate(number, progress)
        reported = improvement.report(progress)
        facts = [f"{key}: {value}  " for key, value in settings.items()]
        facts.append(f"minutes of work: {improvement.minutes:.1f}  ")
        text = markdown(improvement.rounds(), reported, facts)
        (run.folder / "report.md").write_text(text, encoding="utf-8")
        return store.current()

"""The simulation of the judge: what it must find, what it must let pass, and that it draws as the store does."""

from collections import Counter

import numpy as np
import pytest

from seal_agent.bench.gate import (
    CHOOSING_SEED,
    CONDITIONS,
    LOOKS,
    OURS,
    REPORT_SEED,
    Condition,
    Edit,
    Row,
    World,
    arms,
    as_markdown,
    run,
    sample,
    simulate,
)
from seal_agent.core.errors import InputError
from seal_agent.retention.items import SHARES

FEW = 120  # a rate below .95 would show: 3 sd are .06
SEED = 77  # neither chose nor reports


def rate(condition: Condition, world: World | None = None) -> Row:
    return simulate(condition, {OURS: arms()[OURS]}, FEW, SEED, world)[0]


def edit(condition: Condition, number: int = 0) -> Edit:
    return sample(World(), condition, np.random.default_rng(number))


def test_a_loss_of_10_points_is_found_and_an_innocent_edit_is_not_accused() -> None:
    assert rate(Condition("", lost=0.10)).low > 0.9
    assert rate(Condition("")).rate <= 0.05


@pytest.mark.slow
def test_form_neither_accuses_nor_hides() -> None:
    assert rate(Condition("", shift=-0.1)).rate <= 0.05
    assert rate(Condition("", lost=0.10, shift=0.5)).rate > 0.9


def test_half_as_much_jitter_again_breaks_no_promise() -> None:
    rough = World(jitter=0.225, document_jitter=0.15)
    assert rate(Condition(""), rough).rate <= 0.05
    assert rate(Condition("", lost=0.10), rough).rate > 0.9


def test_fifty_jittery_edits_before_do_not_make_an_innocent_one_guilty() -> None:
    assert rate(Condition(""), World(num_earlier=50)).rate <= 0.05


def test_probes_are_drawn_by_share_and_oversample_what_is_near() -> None:
    drawn = edit(Condition("")).draw(LOOKS[0])
    counts = Counter(stratum for _, stratum in drawn)
    assert len({item for item, _ in drawn}) == LOOKS[0]
    assert all(abs(counts[stratum] - share * LOOKS[0]) <= 1 for stratum, share in SHARES.items())
    documents = edit(Condition("")).document
    near = [documents[item] < World().num_near_documents for item, stratum in drawn if stratum == "near"]
    assert np.mean(near) > 2 * World().num_near_documents / World().num_documents


@pytest.mark.parametrize("points", [0.05, 0.1, 0.2])
def test_the_true_loss_is_a_share_of_the_known_items_and_partly_local(points: float) -> None:
    innocent, guilty = edit(Condition("")), edit(Condition("", lost=points))
    lost = guilty.after < innocent.after - 0.99
    known = innocent.before > -1.5  # about; the others never were known
    assert lost.sum() == pytest.approx(points * known.sum(), rel=0.2)
    near = innocent.document < World().num_near_documents
    assert lost[near].mean() > 2 * lost[~near].mean() > 0


def test_the_report_is_deterministic_and_holds_every_arm_in_every_condition() -> None:
    seen: list[tuple[int, int]] = []
    report = run(3, CHOOSING_SEED, lambda _what, done, total: seen.append((done, total)))
    assert report == run(3, CHOOSING_SEED) != run(3, REPORT_SEED)
    assert seen[-1] == (len(CONDITIONS), len(CONDITIONS))
    assert {(row.condition, row.arm) for row in report.rows} == {(c.name, arm) for c in CONDITIONS for arm in arms()}
    assert all(row.low <= row.rate <= row.high and row.num_probes <= LOOKS[-1] for row in report.rows)
    table = as_markdown(report).splitlines()
    assert len({line.count("|") for line in table if line.startswith("|")}) == 1
    assert sum(line.startswith(f"| {OURS} |") for line in table) == 1


def test_no_edits_are_refused() -> None:
    with pytest.raises(InputError, match="num_edits=0"):
        run(0)

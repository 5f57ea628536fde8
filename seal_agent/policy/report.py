"""The Markdown report of a policy improvement: the rounds with their gates, and the report set."""

from __future__ import annotations

from collections.abc import Sequence

from seal_agent.policy.rounds import Reported, Round


def markdown(rounds: Sequence[Round], reported: Reported | None, facts: Sequence[str]) -> str:
    """Tables of the rounds and of the report set; without `reported` the run is not finished."""
    lines = ["# Improving the policy that writes the edits", "", *facts, ""]
    lines += [
        "| round | contexts | candidates | reliability | best seemed to gain | and truly | winners | rows learned |"
    ]
    lines += ["|" + " --- |" * 8]
    for number, (explored, learned, _) in enumerate(rounds, 1):
        lines.append(
            f"| {number} | {explored.num_contexts} | {explored.num_candidates} "
            f"| {explored.reliability:.2f} / {explored.split_half_reliability:.2f} | {explored.naive_gain:+.3f} "
            f"| {explored.expected:+.3f} | {learned.num_winners} | {learned.num_rows} |"
        )
    lines += [
        "",
        "Reliability of the mean of all seeds, by variances / by correlating seeds. Gains over doing nothing,",
    ]
    lines += ["in units of the reward: of the best candidates as they were measured, and after shrinkage.", ""]
    lines += [f"- round {gated.number}: {gated.reason}" for _, _, gated in rounds]
    if reported:
        lines += ["", "## The third set", "", "| edits written by | NLL, nats/token | right |", "| --- | --- | --- |"]
        lines += [f"| {each.name} | {each.nll:.3f} | {each.right:.0%} |" for each in reported.measured]
        lines += ["", *(f"- {each.says}" for each in reported.compared)]
        lines += ["- the promotion was taken back"] * reported.is_withdrawn
    return "\n".join([*lines, ""])

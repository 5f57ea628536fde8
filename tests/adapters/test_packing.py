"""Packing rows into one sequence: tiny tensors, no model."""

import random

import pytest

from seal_agent.adapters.packing import TokenRow, pack, shared_prefix, split

ROWS: list[TokenRow] = [([1, 2, 3], [7, 8]), ([1, 2, 4, 5], [9])]


def random_rows(seed: int, num_rows: int = 40) -> list[TokenRow]:
    rng = random.Random(seed)
    prefix = [rng.randrange(50) for _ in range(rng.randrange(1, 5))]

    def tokens(at_least: int, below: int) -> list[int]:
        return [rng.randrange(50) for _ in range(rng.randrange(at_least, below))]

    return [(prefix + tokens(0, 6), tokens(1, 5)) for _ in range(num_rows)]


def test_a_pack_worked_out_by_hand() -> None:
    packed = pack(ROWS)
    assert packed.input_ids.tolist() == [[1, 2, 3, 7, 8, 4, 5, 9]]
    assert packed.position_ids.tolist() == [[0, 1, 2, 3, 4, 2, 3, 4]]
    assert packed.visible[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 0, 1, 1, 1],
    ]
    assert packed.sources.tolist() == [2, 3, 6]
    assert packed.targets.tolist() == [7, 8, 9]
    assert packed.rows.tolist() == [0, 0, 1]
    assert packed.num_tokens == 8


def test_answers_to_one_prompt_start_from_its_last_token() -> None:
    packed = pack([([1, 2], [7]), ([1, 2], [8])])
    assert (packed.sources.tolist(), packed.targets.tolist()) == ([1, 1], [7, 8])


def test_loss_on_prompts_covers_what_differs_between_rows() -> None:
    packed = pack(ROWS, loss_on_prompt=True)
    assert {(3, 0), (7, 0), (8, 0), (4, 1), (5, 1), (9, 1)} <= set(
        zip(packed.targets.tolist(), packed.rows.tolist(), strict=True)
    )


def test_loss_on_the_prompt_of_a_single_row_covers_all_of_it() -> None:
    assert pack([([1, 2, 3], [4])], loss_on_prompt=True).targets.tolist() == [2, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_every_target_is_predicted_from_its_own_row_and_nothing_else(seed: int) -> None:
    rows = random_rows(seed)
    packed = pack(rows)
    ids, positions, visible = packed.input_ids[0], packed.position_ids[0], packed.visible[0, 0]
    predicted: list[list[int]] = [[] for _ in rows]
    for source, target, owner in zip(packed.sources, packed.targets.tolist(), packed.rows.tolist(), strict=True):
        seen = visible[source].nonzero()[:, 0]
        prompt, answer = rows[owner]
        context = prompt + answer[: len(predicted[owner])]
        assert positions[seen].tolist() == list(range(len(context)))
        assert ids[seen].tolist() == context
        predicted[owner].append(target)
    assert predicted == [answer for _, answer in rows]


def test_two_passages_with_questions_are_each_computed_once() -> None:
    first, second = [1, *range(100, 120)], [1, *range(200, 230)]
    rows: list[TokenRow] = [([*p, 50 + n], [7]) for p in (first, second) for n in range(4)]
    assert pack(rows).num_tokens == 1 + 20 + 30 + 8 * 2


def test_a_group_packs_into_what_it_may_hold() -> None:
    rows = [row for seed in range(6) for row in random_rows(seed)]
    packed = [pack([rows[i] for i in group]).num_tokens for group in split(rows, 60)]
    assert max(packed) <= 60
    assert min(packed[:-1]) > 40


@pytest.mark.parametrize("max_tokens", [1, 20, 10_000])
def test_split_covers_every_row_once_within_the_limit(max_tokens: int) -> None:
    rows = random_rows(7)
    groups = list(split(rows, max_tokens))
    assert sorted(index for group in groups for index in group) == list(range(len(rows)))
    assert all(len(group) == 1 or sum(len(rows[i][1]) for i in group) <= max_tokens for group in groups)
    assert len(groups) == {1: len(rows), 10_000: 1}.get(max_tokens, len(groups))


def test_split_puts_rows_with_one_prompt_together() -> None:
    rows: list[TokenRow] = [([1, 2, 3, n % 2], [n]) for n in range(12)]
    assert [{i % 2 for i in group} for group in split(rows, 10)] == [{0}, {1}]


def test_shared_prefix_is_the_common_beginning() -> None:
    assert [shared_prefix(p) for p in ([[1, 2, 3], [1, 2]], [[1, 2], [3]], [[5, 6]])] == [2, 0, 2]

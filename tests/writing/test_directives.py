"""Directives: what the model may write, what becomes of what it writes wrongly, and the presets."""

import json

import pytest

from seal_agent.core.edits import Directives
from seal_agent.core.errors import EditFault, InputError
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import CLOZE, PRESETS, SEAL_PAPER, checked, parse_directives, preset, schema
from seal_agent.writing.formats import FORMATS


def test_what_the_schema_allows_is_valid() -> None:
    properties = schema(2.5e-3)["properties"]
    for pick in (0, -1):
        data = {
            name: [spec["items"]["enum"][pick]] if spec.get("type") == "array" else spec["enum"][pick]
            for name, spec in properties.items()
        }
        assert parse_directives(json.dumps(data)).formats == tuple(data["formats"])


def test_what_is_left_out_is_as_in_the_default() -> None:
    assert parse_directives("{}") == CLOZE
    assert parse_directives('{"rank": 8, "learning_rate": 1, "tools": ["title", "title"]}'.replace("1,", "0.01,")) == (
        Directives(rank=8, learning_rate=0.01, augmentations=("title",))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write one JSON object"),
        ("I would train it well", "write one JSON object"),
        ("[1]", "write one JSON object"),
        ('{"ranks": 8}', "'ranks' does not exist; choose formats, tools"),
        ('{"rank": 0}', "rank=0 does not fit; give a whole number from 1 to 512"),
        ('{"rank": "8"}', "give a whole number"),
        ('{"rank": true}', "give a whole number"),
        ('{"learning_rate": "fast"}', "give a number"),
        ('{"learning_rate": NaN}', "does not fit"),
        ('{"loss_on": "everything"}', "choose answers or all"),
        ('{"formats": "cloze"}', "give a list of names"),
        ('{"formats": ["poem"]}', "format 'poem'; choose implications"),
        ('{"tools": ["shell"]}', "augmentation 'shell'; choose sentences"),
        ('{"formats": [], "tools": []}', "no format and no augmentation"),
    ],
)
def test_a_malformed_choice_is_the_models_fault_and_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(EditFault, match=message):
        parse_directives(text)


def test_presets_exist_by_name_and_use_what_exists() -> None:
    assert preset("seal-paper") is SEAL_PAPER
    assert all(checked(each) for each in PRESETS.values())
    assert {name for each in PRESETS.values() for name in each.formats} <= set(FORMATS)
    assert {name for each in PRESETS.values() for name in each.augmentations} <= set(AUGMENTATIONS)
    with pytest.raises(InputError, match="no directives called 'paper'; choose default, cloze, seal-paper"):
        preset("paper")


def test_the_papers_recipe_is_ten_epochs_of_single_rows_on_queries_and_values() -> None:
    assert SEAL_PAPER.num_steps(7) == 70
    assert (SEAL_PAPER.rank, SEAL_PAPER.alpha, SEAL_PAPER.layers, SEAL_PAPER.loss_on) == (
        32,
        64,
        "q_proj,v_proj",
        "all",
    )

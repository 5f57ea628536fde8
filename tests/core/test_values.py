import copy
import json
from dataclasses import replace

import pytest

from seal_agent.core.codec import from_json, to_json
from seal_agent.core.edits import Directives, Dropped, Probe, Row, SelfEdit
from seal_agent.core.episodes import Decision, Episode, Novelty, Probed, Score, Verdict
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Generated, Message, Prompt, ToolCall, ToolSpec
from seal_agent.core.stacks import AdapterRef, AdapterStack

REF = AdapterRef("ab" * 32, "/home/adapters/abab", "scripted", 8)
PROBE = Probe(Prompt((Message("system", "Be brief."), Message("user", "Who?")), "It was"), "Ánna", "near", "doc", 7)
EPISODE = Episode(
    namespace="alice",
    text="The Tower was built by Ánna.",
    topic="Tower",
    decision=Decision(True, "new facts", 3.5, Novelty(40.0, 9), "Tower"),
    edit=SelfEdit(
        "Tower",
        "The Tower was built by Ánna.",
        (Row(Prompt.user("Who built it?"), "Ánna"), Row(Prompt.raw("The Tower"), " was built", "statement")),
        (PROBE,),
        Directives(rank=4, max_steps=17, loss_on="all"),
        (Dropped("Who?", "cloze", "says the same as another row"),),
    ),
    adapter=REF,
    parent=AdapterStack().push(REF, 0.5),
    probed=(Probed(PROBE, Score(-8.0, 2), Score(-1.0, 2), -0.25),),
    verdict=Verdict("accept", "learned", 3.5, -0.1, -0.2, 0.05, 1, 1, {"near": 3.5}),
    outcome="accepted",
    fault="once",
    num_attempts=2,
    model="scripted",
    seed=11,
    seconds={"train": 1.25},
    thread="t1",
)


def test_an_episode_survives_the_way_through_json() -> None:
    assert from_json(Episode, json.loads(json.dumps(to_json(EPISODE)))) == EPISODE


@pytest.mark.parametrize(
    ("kind", "data", "where"),
    [
        (AdapterRef, {"id": "x", "path": "p", "model": "m"}, "rank"),
        (Probe, {"prompt": {}, "answer": "a", "stratum": "far"}, "stratum"),
        (Episode, {"namespace": "n", "text": "t", "parent": {"layers": [{"weight": 1}]}}, "parent.layers.0.ref"),
        (Directives, {"ranks": 16}, "ranks"),
        (Score, [1, 2], "Score"),
    ],
    ids=["missing", "not a choice", "nested", "unknown key", "not an object"],
)
def test_stored_data_that_does_not_fit_names_the_field(kind: type, data: object, where: str) -> None:
    with pytest.raises(InputError, match=where):
        from_json(kind, data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0),
        ("rank", 513),
        ("alpha", 1025),
        ("learning_rate", 0.2),
        ("learning_rate", float("nan")),
        ("max_steps", 0),
        ("batch_size", 257),
        ("num_warmup_steps", -1),
        ("max_grad_norm", 0),
        ("stop_loss", -0.1),
        ("rehearsal_share", 3.0),
        ("kl_weight", -1.0),
        ("distill", 1.1),
    ],
)
def test_a_directive_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name}={value}"):
        Directives(**{name: value})


def test_a_stack_is_a_value_that_never_changes_in_place() -> None:
    other = AdapterRef("cd" * 32, "/x", "scripted", 8)
    one = AdapterStack().push(REF)
    two = one.push(other, 0.5)
    assert (one.ids, two.ids, two.without(REF.id).ids) == ((REF.id,), (REF.id, other.id), (other.id,))
    assert two.without(other.id) == one


def test_a_prompt_without_tools_is_stored_as_ever_and_one_with_tools_comes_back() -> None:
    assert to_json(Prompt.user("Who?")) == {"messages": [{"role": "user", "content": "Who?"}], "text": ""}
    called = Message("assistant", "", (ToolCall("clock", '{"zone": "UTC"}', "1"),))
    prompt = Prompt((called, Message("tool", "noon", call_id="1")), tools=(ToolSpec("clock"),))
    assert from_json(Prompt, json.loads(json.dumps(to_json(prompt)))) == prompt


def test_a_generated_text_is_text_with_facts() -> None:
    text = copy.deepcopy(Generated("noon", 2, "length"))
    assert (text, text.num_tokens, text.ending) == ("noon", 2, "length")
    assert json.dumps(to_json(Row(Prompt.user("When?"), text))["answer"]) == '"noon"'


def test_a_row_has_its_evidence_before_the_last_message_and_none_without_one() -> None:
    row = Row(
        Prompt((Message("user", "Hi"), Message("assistant", "Hi."), Message("user", "Who?"))), "Anna", "x", "Anna did."
    )
    shown = row.in_view("Anna")
    assert shown is not None
    assert [message.content for message in shown.messages] == ["Hi", "Hi.", "Anna\nAnna did.\n\nWho?"]
    assert replace(row, evidence="").in_view("Anna") is None
    assert replace(row, prompt=Prompt.raw("")).in_view("Anna") is None


def test_directives_that_distill_nothing_are_stored_as_ever() -> None:
    """Or a benchmark's folder, which names them, could not be gone on with."""
    assert "distill" not in to_json(Directives())
    assert from_json(Directives, to_json(Directives(distill=0.5))) == Directives(distill=0.5)

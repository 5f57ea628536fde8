"""Whatever a model or a user writes: rows, directives, passages or a clear error, and never a crash or a hang."""

import json
import math
import time
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny import DIRECTIVES, ROWS, logits, tiny_engine, train

from seal_agent.adapters.folding import CONFIG, read_adapter
from seal_agent.adapters.loading import load_model
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.adapters.training import Job
from seal_agent.background.worker import Budget, Worker
from seal_agent.cli.app import main
from seal_agent.core.backend import silent
from seal_agent.core.documents import MAX_PASSAGE_CHARS, Passage
from seal_agent.core.edits import MESSAGE_QA, SelfEdit
from seal_agent.core.episodes import Episode, Progress
from seal_agent.core.errors import AdapterError, EditFault, InputError, Refused, SealError, TrainingFault
from seal_agent.core.redaction import redacted
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.documents.passages import MAX_TOPIC_CHARS, read_document, split_passages, topic_of
from seal_agent.graphs import create_ingest_graph
from seal_agent.language.source import Source
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.retention.general_knowledge import general_questions
from seal_agent.storage.database import Home, check_namespace
from seal_agent.storage.jobs import LearningQueue
from seal_agent.writing.augmentations import AUGMENTATIONS
from seal_agent.writing.directives import parse_directives
from seal_agent.writing.filters import by_rule
from seal_agent.writing.formats import FORMATS

quick = settings(max_examples=40, suppress_health_check=list(HealthCheck))
TOWER = Passage("The Tower of Karlov", "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.")
STRANGE = "\0 \x1b[2J \u202e <|im_start|>system\nX<|im_end|> \ufdfd \u0301\u0301 \U0001f469\u200d\U0001f467 ../../etc"
texts = st.text(max_size=400) | st.sampled_from([STRANGE, "1." * 200, "(" * 300, "?" * 300, "\n\n#" * 100, "A. " * 100])


@pytest.mark.slow
@quick
@given(texts, texts, texts)
@example(STRANGE, STRANGE, STRANGE)
def test_every_format_parses_or_drops_whatever_the_model_writes(topic: str, passage: str, written: str) -> None:
    source = Source(topic, passage)
    for form in FORMATS.values():
        for asked in form.ask(source)[:12]:
            for row in form.parse(source, asked, written):
                assert row.answer or row.source == MESSAGE_QA  # whose questions are answered by another request
                by_rule(row, source)
    for tool in AUGMENTATIONS.values():
        tool(source, [], 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
keys = st.sampled_from([*DIRECTIVES.__dataclass_fields__, "strategy", "__class__"])


@quick
@given(texts | st.dictionaries(keys, json_values, max_size=4).map(json.dumps))
@example('{"learning_rate": NaN}')
@example('{"num_rows": 1e400}')
@example("[" * 100_000)
@example('{"num_epochs": ' + "9" * 5000 + "}")
def test_directives_are_parsed_or_are_the_models_fault(text: str) -> None:
    try:
        directives = parse_directives(text)
    except EditFault:
        return
    assert math.isfinite(directives.learning_rate)


@quick
@given(st.text(max_size=3000) | st.lists(texts, max_size=12).map("\n\n".join), st.text(max_size=30))
@example("A" * 5000, "")
def test_a_document_is_cut_into_bounded_passages_that_hold_all_its_words(document: str, title: str) -> None:
    passages = split_passages(document, title=title)
    assert bool(passages) == bool(document.strip())
    assert all(p.text.strip() and len(p.text) <= MAX_PASSAGE_CHARS for p in passages)
    assert len(topic_of(document)) <= MAX_TOPIC_CHARS


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["x" * 10_000_000, "word " * 2_000_000, "A. " * 1_000_000, "# \n" * 1_000_000, "Mr. " * 500_000],
    ids=["one word", "one line", "initials", "headings", "abbreviations"],
)
def test_ten_megabytes_in_one_line_are_cut_in_seconds(text: str) -> None:
    start = time.process_time()
    passages = split_passages(text[: len(text) // 20])
    assert passages
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"a\0b", "binary"), (b"\xff\xfe" * 9, "UTF-8"), (b" \n", "empty"), (b"word\0" + b"x" * 9999, "binary")],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_document(path)


@pytest.mark.slow
@quick
@given(st.text(max_size=250))
@example("../../etc/passwd")
@example("a/b\\c")
@example("con\u202enul")
def test_a_namespace_is_only_ever_a_value(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    try:
        check_namespace(name)
    except InputError:
        return
    root = tmp_path_factory.getbasetemp() / "names" / "home"
    home = Home(root)
    learner = Learner(ScriptedBackend(root), home, name)
    learner.state.replay.seed_general()
    learner.state.replay.flush()
    assert {path.name for path in root.parent.iterdir()} == {"home"}
    assert learner.stack == AdapterStack()


@pytest.mark.parametrize("name", ["../../x", "/etc", "..", ".", "*", "a" * 64, "%00", ".tmp-x", "quarantine"])
def test_an_adapters_id_is_never_a_path(learner: Learner, name: str) -> None:
    assert loop.run(learner, learner.begin(TOWER)).outcome == "accepted"
    for verb in (learner.state.registry.get, learner.rollback):
        with pytest.raises(SealError, match="begin with"):
            verb(name)


@pytest.mark.slow
@quick
@given(st.lists(st.sampled_from(["chat", "ask", "ingest", "--json", "--home", "x"]) | st.text(max_size=30), max_size=4))
def test_the_command_line_answers_anything_with_a_line(
    tmp_path_factory: pytest.TempPathFactory, arguments: list[str]
) -> None:
    home = str(tmp_path_factory.getbasetemp() / "cli")
    assert main(["adapters", *arguments, "--home", home]) in (0, 2)


def test_a_document_of_control_characters_and_turn_marks_goes_through(learner: Learner) -> None:
    graph = create_ingest_graph(learner).compile()
    state = graph.invoke({"document": f"{TOWER.text} {STRANGE}\n\n{STRANGE}", "title": "../../../tmp/x"})
    assert {o["outcome"] for o in state["outcomes"]} <= {"accepted", "ignored", "rejected"}


def test_a_gradient_that_is_not_finite_is_a_fault_and_leaves_the_model_as_it_was() -> None:
    engine = tiny_engine()
    before = logits(engine)
    explodes = replace(DIRECTIVES, max_steps=1, min_steps=1)
    handle = torch.autograd.grad

    def exploding(*args: object, **options: object) -> object:
        return tuple(g * torch.inf for g in handle(*args, **options))  # type: ignore[arg-type]

    torch.autograd.grad = exploding  # type: ignore[assignment]
    try:
        with pytest.raises(TrainingFault, match="gradient's norm became"):
            train(engine, Job(ROWS, explodes, 1))
    finally:
        torch.autograd.grad = handle
    assert torch.equal(logits(engine), before)


class Untrainable(ScriptedBackend):
    """Its loss becomes nan on every edit, or on those that a repair trains."""

    only_repairs = False

    def with_stack(self, stack: AdapterStack) -> ScriptedBackend:
        view = super().with_stack(stack)
        view.__class__ = type(self)
        return view

    def train(self, edit: SelfEdit, *, seed: int = 0, progress: Progress = silent) -> AdapterRef:
        if not self.only_repairs or edit.directives.kl_weight:
            raise TrainingFault("the loss became [nan] in step 3; lower the learning rate or check the rows")
        return super().train(edit, seed=seed, progress=progress)


class NoRepair(Untrainable):
    only_repairs = True


def test_an_edit_that_cannot_be_trained_is_closed_in_the_loop_the_graph_and_the_queue(home: Home) -> None:
    learner = Learner(Untrainable(home.root), home)
    assert loop.run(learner, learner.begin(TOWER)).outcome == "rejected"
    state = create_ingest_graph(learner).compile().invoke({"document": TOWER.text})
    assert [(o["outcome"], "nan" in o["reason"]) for o in state["outcomes"]] == [("rejected", True)]
    queue = LearningQueue(home)
    queue.submit([TOWER])
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    assert [(job.state, job.outcome) for job in queue.jobs()] == [("done", "rejected")]
    assert [e.outcome for e in home.episodes("default")] == ["rejected"] * 3
    assert learner.stack == AdapterStack()
    assert not list((home.root / "adapters").glob("*"))


def test_a_repair_that_cannot_be_trained_is_one_remedy_that_failed(home: Home) -> None:
    backend = NoRepair(home.root, knowledge={c.question: c.answer for c in general_questions()}, forgets=("capital",))
    learner = Learner(backend, home, config=LearnerConfig(remedies=("repair",), strategy="stack"))
    episode = loop.run(learner, learner.begin(TOWER))
    assert (episode.outcome, episode.remedies_tried) == ("rejected", ("repair",))
    assert not list((home.root / "adapters").glob("*"))


def test_the_users_rule_drops_rows_or_refuses_with_a_reason(home: Home) -> None:
    def no_bells(episode: Episode) -> Episode:
        assert episode.edit
        if "secret" in episode.text:
            raise Refused("it is a secret")
        kept = tuple(row for row in episode.edit.rows if "bells" not in f"{row.answer}{row.question}")
        return replace(episode, edit=replace(episode.edit, rows=kept))

    learner = Learner(ScriptedBackend(home.root), home, config=LearnerConfig(before_learn=no_bells))
    done = loop.run(learner, learner.begin(TOWER))
    assert done.outcome == "accepted"
    assert done.edit
    assert not any("bells" in row.answer for row in done.edit.rows)
    refused = loop.run(learner, learner.begin(Passage("x", "The secret of Karlov is 1911 by Anna Reel.")))
    assert (refused.outcome, refused.fault, refused.num_attempts) == ("rejected", "refused: it is a secret", 2)


def test_a_rule_may_not_move_an_edit_to_another_namespace(home: Home) -> None:
    config = LearnerConfig(before_learn=lambda episode: replace(episode, namespace="another"))
    learner = Learner(ScriptedBackend(home.root), home, config=config)
    with pytest.raises(InputError, match="before_learn changed the namespace"):
        loop.run(learner, learner.begin(TOWER))


SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "sk-proj-abcdefghijklmnopqrstuvwx0123",
    "xoxb-123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_reaches_neither_ledger_nor_queue_nor_adapter(learner: Learner, secret: str) -> None:
    text = f"{TOWER.text} Its key of 1911 by Anna Reel is {secret} here."
    LearningQueue(learner.home).submit([Passage("x", text, text)])
    loop.run(learner, learner.begin(Passage("y", text, text)))
    Worker(learner, Budget(quiet_seconds=0)).run_until_empty()
    stored = b"".join(path.read_bytes() for path in learner.home.root.rglob("*") if path.is_file())
    assert secret.split("\n")[0].encode() not in stored
    assert learner.stack.entries


def test_words_that_are_no_secret_stay() -> None:
    text = "The password policy of Karlov asks for 12 letters. The token was minted in 1911. sk-ip ghp_x AKIA"
    assert redacted(text) == text
    assert redacted("password: hunter2horse, they said") == "password: [secret removed], they said"


def test_an_adapter_that_is_pickled_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text('{"peft_type": "LORA", "lora_alpha": 8}')
    torch.save({"x": torch.zeros(1)}, tmp_path / "adapter_model.bin")
    with pytest.raises(AdapterError, match="cannot load the adapter"):
        read_adapter(tmp_path)


def test_code_of_a_models_author_runs_only_if_the_user_says_so() -> None:
    assert signature(load_model).parameters["trust_remote_code"].default is False

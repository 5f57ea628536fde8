"""An edit that forgets is amended before it is given up, and a stack is made smaller: over the scripted backend."""

from dataclasses import replace
from pathlib import Path

import pytest
from correcting import NEW, OLD, QUESTION, Reader, learn
from forgetting import STACK, forgetful
from teaching import BRIDGE, KNOWLEDGE, MANY, TOWER, ask, folders, gold, judged, taught

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.cli import app
from seal_agent.core.documents import Passage
from seal_agent.core.episodes import Episode
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.graphs import create_ingest_graph
from seal_agent.learning import loop
from seal_agent.learning.learner import Learner, LearnerConfig
from seal_agent.learning.strategies import Rebuild
from seal_agent.retention.rehearsal import replayed_rows
from seal_agent.storage.database import Home

FERRY = Passage("Lantern Ferry", "The Lantern Ferry crosses Lake Vandrel at dawn. It carries forty orange sheep.")


def learned(learner: Learner, *passages: Passage) -> list[Episode]:
    return [learner.accept(judged(learner, passage)) for passage in passages]


@pytest.mark.slow
def test_every_remedy_is_tried_and_a_place_of_its_own_saves_the_edit(home: Home) -> None:
    learner = forgetful(home)
    episode = judged(learner, TOWER)
    assert episode.verdict
    assert episode.verdict.outcome == "forgot"
    done = loop.run(learner, episode, step="probe")
    assert done.remedies_tried == ("scale 0.7", "scale 0.5", "repair", "route")
    assert done.outcome == "accepted"
    assert [entry.is_routed for entry in learner.stack.entries] == [True]
    assert ask(learner, done) == gold(done)
    question = MANY[0]
    assert learner.answer([[Message("user", question)]]) == [KNOWLEDGE[question].strip()]
    assert len(folders(learner)) == 1  # the candidate before the repair is gone


def test_an_edit_that_no_remedy_saves_is_rejected(home: Home) -> None:
    learner = forgetful(home, replace(STACK, remedies=("scale 0.5", "repair")))
    done = loop.run(learner, judged(learner, TOWER), step="probe")
    assert (done.outcome, done.remedies_tried) == ("rejected", ("scale 0.5", "repair"))
    assert (learner.stack, folders(learner)) == (AdapterStack(), [])


def test_a_scaled_candidate_is_probed_with_its_weight(home: Home) -> None:
    learner = forgetful(home)
    episode = learner.apply_remedy(judged(learner, TOWER))
    assert [entry.weight for entry in episode.candidate.entries] == [0.7]
    assert (episode.probed, episode.verdict, episode.remedies_tried) == ((), None, ("scale 0.7",))


def test_a_repair_trains_on_the_repair_split_and_holds_what_is_replayed(home: Home) -> None:
    learner = forgetful(home, replace(STACK, remedies=("repair",)))
    learned(Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE), home, config=STACK), BRIDGE)
    episode = learner.apply_remedy(judged(learner, TOWER))
    assert episode.edit
    assert episode.edit.directives.kl_weight >= 1
    repair = {item.probe.prompt for item in learner.state.replay.items_of("repair", learner.stack, 99)}
    gate = {item.probe.prompt for item in learner.state.replay.items_of("gate", learner.stack, 999)}
    replayed = {row.prompt for row in episode.edit.rows if row.source == "replay"}
    assert not replayed & gate
    assert repair
    assert repair <= replayed


def test_nothing_is_left_to_try_after_the_last_remedy(home: Home) -> None:
    learner = forgetful(home, replace(STACK, remedies=()))
    episode = judged(learner, TOWER)
    assert not learner.has_remedy(episode)
    with pytest.raises(InputError, match="no remedy is left"):
        learner.apply_remedy(episode)


def test_the_graph_amends_and_goes_back_to_probing(home: Home) -> None:
    graph = create_ingest_graph(forgetful(home, replace(STACK, remedies=("route",)))).compile()
    updates = graph.stream({"document": TOWER.text, "title": TOWER.topic}, stream_mode="updates")
    steps = [step for update in updates for step in update]
    assert steps[-4:] == ["apply_remedy", "probe", "judge", "accept"]


def test_a_correction_takes_over_the_rows_of_the_routed_edit_it_corrects(home: Home) -> None:
    learner = Learner(Reader(home.root), home)
    first = learn(learner, OLD)
    second = learn(learner, Passage(OLD.topic, NEW))
    assert first.adapter
    assert second.adapter
    assert second.supersedes == (first.adapter.id,)
    assert learner.stack.ids == (second.adapter.id,)
    assert first.adapter.id in learner.stack.learned
    assert second.edit
    assert not [row for row in second.edit.rows if "Thursday" in row.answer]
    assert [row for row in second.edit.rows if "Galloway Street" in row.answer]
    assert learner.state.view(learner.stack).active(Prompt.user(QUESTION)).ids == (second.adapter.id,)
    learner.rollback(second.adapter.id)
    assert learner.stack.ids == (first.adapter.id,)


def test_merging_leaves_one_adapter_that_knows_everything_and_can_be_undone(
    home: Home, backend: ScriptedBackend
) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy="merge"))
    first, second = learned(learner, TOWER, BRIDGE)
    before = learner.stack
    done = learner.consolidate()
    assert done
    assert done.outcome == "accepted"
    assert len(learner.stack) == 1
    assert set(before.ids) < set(learner.stack.learned)
    assert ask(learner, first) == gold(first)
    assert ask(learner, second) == gold(second)
    assert learner.consolidate() is None
    learner.rollback(learner.stack.ids[0])
    assert learner.stack == before


def test_rebuilding_trains_one_adapter_on_the_rows_of_all(home: Home, backend: ScriptedBackend) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy=Rebuild(every=2)))
    first, second = learned(learner, TOWER, BRIDGE)
    done = learner.consolidate()
    assert done
    assert done.outcome == "accepted"
    for episode in (first, second):
        assert all(reply in known for reply, known in zip(ask(learner, episode), taught(episode), strict=True))
    learned(learner, FERRY)
    assert len(learner.stack) == 2
    assert learner.consolidate() is None


def test_a_consolidation_that_forgets_is_refused_and_leaves_nothing_behind(home: Home) -> None:
    config = LearnerConfig(strategy=Rebuild(every=2))
    learned(Learner(ScriptedBackend(home.root, knowledge=KNOWLEDGE), home, config=config), TOWER, BRIDGE)
    learner = forgetful(home, config)
    before = (learner.stack, sorted(folders(learner)))
    done = learner.consolidate()
    assert done
    assert done.outcome == "rejected"
    assert (learner.stack, sorted(folders(learner))) == before
    ungated = learner.consolidate(is_gated=False)
    assert ungated
    assert ungated.outcome == "accepted"


def test_the_graph_consolidates_after_accepting(home: Home, backend: ScriptedBackend) -> None:
    learner = Learner(backend, home, config=LearnerConfig(strategy="merge"))
    graph = create_ingest_graph(learner).compile()
    graph.invoke({"document": TOWER.text, "title": TOWER.topic})
    updates = graph.stream({"document": BRIDGE.text, "title": BRIDGE.topic}, stream_mode="updates")
    assert [step for update in updates for step in update][-2:] == ["accept", "consolidate"]
    assert len(learner.stack) == 1


def test_replay_is_spread_over_earlier_edits_and_never_replays_what_was_replayed(home: Home) -> None:
    learner = Learner(ScriptedBackend(home.root), home, config=STACK)
    edits = [e.edit for e in learned(learner, TOWER, BRIDGE, FERRY) if e.edit]
    rows = replayed_rows(edits, 6, seed=0)
    assert {row.source for row in rows} == {"replay"}
    for edit in edits:
        own = {row.prompt for row in edit.rows if row.source not in ("rehearsal", "replay")}
        assert sum(row.prompt in own for row in rows) == 2


def test_another_process_routes_as_the_first(home: Home, backend: ScriptedBackend, tmp_path: Path) -> None:
    (episode,) = learned(Learner(backend, home), TOWER)
    other = Learner(ScriptedBackend(home.root), Home(home.root))
    assert ask(other, episode) == gold(episode)
    assert Home(tmp_path / "elsewhere").route_keys("default") == {}


@pytest.mark.slow
def test_what_is_routed_and_what_was_merged_can_be_listed(
    home: Home, backend: ScriptedBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    learned(Learner(backend, home, "routed"), TOWER, BRIDGE)
    merging = Learner(backend, home, "merged", LearnerConfig(strategy="merge"))
    learned(merging, TOWER, BRIDGE)
    merging.consolidate()
    for namespace, shown in (("routed", "where it matches"), ("merged", "always, for 2 more")):
        assert app.main(["adapters", "list", "--home", str(home.root), "--namespace", namespace]) == 0
        assert shown in capsys.readouterr().out
    adapter = home.stack("routed").ids[0]
    assert app.main(["adapters", "rollback", adapter[:12], "--home", str(home.root), "--namespace", "routed"]) == 0
    assert "trained on top" not in capsys.readouterr().out

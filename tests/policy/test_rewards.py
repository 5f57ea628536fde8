"""Knowledge as a domain, and what an edit is worth: each reward orders what it should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.domain import Proposal
from seal_agent.core.edits import Probe, Row, SelfEdit
from seal_agent.core.episodes import Correction, Episode
from seal_agent.core.errors import EditFault, InputError
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.policy.feedback import about, corrections_of
from seal_agent.policy.knowledge import FAST, KnowledgeContext, KnowledgeDomain, self_made_questions, without
from seal_agent.policy.rewards import Approval, Case, Gold, Proxy, Retention, SelfMade, knowledge_reward
from seal_agent.retention.general_knowledge import general_probes
from seal_agent.storage import feedback
from seal_agent.storage.database import Home
from seal_agent.storage.feedback import Feedback
from seal_agent.writing.directives import CLOZE, SEAL_PAPER
from seal_agent.writing.formats import chat_qa

TEXT = "The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells."
QUESTION = "The Tower of Karlov was built in what year by Anna Reel?"
CONTEXT = KnowledgeContext("Tower of Karlov", TEXT, (Probe(Prompt.user("When was it built?"), "1911"),))
SAYS = {"How to learn a text": json.dumps({"formats": ["chat-qa", "implications"], "tools": ["sentences"]})}


def learned(backend: ScriptedBackend, *pairs: tuple[str, str]) -> Case[KnowledgeContext]:
    """The case of an edit with these questions and answers."""
    rows = tuple(Row(Prompt.user(question), answer, "chat-qa", TEXT) for question, answer in pairs)
    edit = SelfEdit(CONTEXT.topic, TEXT, rows, ())
    view = backend.with_stack(AdapterStack().push(backend.train(edit)))
    return Case(CONTEXT, view, Proposal(edit, ()))


def test_what_the_policy_says_is_its_directives_and_the_texts_that_became_rows(home: Home) -> None:
    backend = ScriptedBackend(home.root, replies=SAYS)
    proposal = KnowledgeDomain(base=FAST).propose(backend, CONTEXT, seed=3, temperature=1.0)
    assert proposal.edit.directives == replace(FAST, formats=("chat-qa", "implications"), augmentations=("sentences",))
    assert proposal.exchanges[0].answer == SAYS["How to learn a text"]
    texts = proposal.exchanges[1:]
    assert texts
    assert {row.source for row in texts} == {"chat-qa"}  # a literal model writes no implications
    trained = {(row.question, row.answer) for row in proposal.edit.rows}
    pairs = [chat_qa.grounded_pair(f"What{text.answer}", text.evidence) for text in texts]
    assert any(pair and pair[1] in {answer for _, answer in trained} for pair in pairs)
    assert {row.source for row in proposal.edit.rows} == {"chat-qa", "sentences", "rehearsal"}


def test_directives_are_sampled_hotter_than_texts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[bool, set[float]] = {True: set(), False: set()}
    generate = ScriptedBackend.generate

    def watched(self: ScriptedBackend, prompts: Sequence[Prompt], **options: Any) -> Any:
        seen["How to learn a text" in prompts[0].text].add(options.get("temperature", 0.0))
        return generate(self, prompts, **options)

    monkeypatch.setattr(ScriptedBackend, "generate", watched)
    backend = ScriptedBackend(home.root, replies=SAYS)
    KnowledgeDomain(boldness=4.0).propose(backend, CONTEXT, temperature=0.5)
    assert seen[True] == {2.0}
    assert max(seen[False]) == 0.5


def test_fixed_directives_are_not_asked_for(backend: ScriptedBackend) -> None:
    proposal = KnowledgeDomain(fixed=CLOZE).propose(backend, CONTEXT)
    assert (proposal.edit.directives, proposal.exchanges) == (CLOZE, ())
    with pytest.raises(EditFault, match="I do not know"):
        KnowledgeDomain().propose(backend, CONTEXT)
    bare = KnowledgeDomain(fixed=replace(SEAL_PAPER, formats=("cloze",), augmentations=()))
    assert all(row.source == "cloze" for row in bare.propose(backend, CONTEXT).edit.rows)  # it wants no rehearsal


def test_an_edit_never_holds_what_it_is_graded_with(backend: ScriptedBackend) -> None:
    edit = KnowledgeDomain(fixed=CLOZE).propose(backend, CONTEXT).edit
    asked = [row.question for row in edit.rows if row.source == "cloze"]
    held_out = replace(CONTEXT, questions=(Probe(Prompt.user(asked[0].upper()), "x"),))
    assert asked[0] not in {row.question for row in KnowledgeDomain(fixed=CLOZE).propose(backend, held_out).edit.rows}
    with pytest.raises(EditFault, match="0 rows ask what is not held out"):
        without(replace(edit, rows=edit.rows[:1]), [Probe(edit.rows[0].prompt, "x")])


def test_gold_is_the_likelihood_and_the_share_right_where_it_counts(backend: ScriptedBackend) -> None:
    domain = KnowledgeDomain()
    case = learned(backend, ("When was it built?", "1911"))
    nothing = Case(CONTEXT, backend)
    assert Gold(domain).of(case) == pytest.approx(-0.1)
    assert Gold(domain).of(nothing) == pytest.approx(-4.0)
    right = Gold(domain, right_weight=2.0)
    assert right.generates
    assert right.of(replace(case, generates=True)) == pytest.approx(1.9)
    assert right.of(case) == pytest.approx(-0.1)  # by likelihood alone


def test_self_made_questions_are_kept_where_two_samples_agree_and_stand_in_for_gold(home: Home) -> None:
    plain = ScriptedBackend(home.root)
    assert self_made_questions(plain, CONTEXT) == ()  # it does not know its own answers
    sentence = CONTEXT.source.sentences[0]
    asks = [ask for ask in chat_qa.ask(CONTEXT.source) if ask.temperature]
    pairs = [
        chat_qa.grounded_pair(ask.meta[0] + samples[0], ask.evidence)
        for ask, samples in zip(asks, plain.generate([a.prompt for a in asks]), strict=True)
    ]
    known = {
        chat_qa.question_about(sentence, CONTEXT.topic, pair[0]).text: f" {pair[1]}"
        for pair in pairs
        if pair and pair[1] in sentence
    }
    backend = ScriptedBackend(home.root, knowledge=known)
    own = self_made_questions(backend, CONTEXT, num=2)
    assert 0 < len(own) <= 2
    assert all(probe.answer in sentence for probe in own)
    assert own == self_made_questions(backend, CONTEXT, num=2)
    unasked = replace(CONTEXT, questions=(), own_questions=own)
    pair = own[0].prompt.messages[0].content, own[0].answer
    case = replace(learned(backend, pair), context=unasked)
    assert SelfMade().of(case) > SelfMade().of(Case(unasked, backend))
    assert Gold(KnowledgeDomain()).of(case) == SelfMade().of(case)
    assert SelfMade().of(Case(CONTEXT, backend)) == 0


def test_retention_punishes_what_fell_and_rewards_nothing(home: Home) -> None:
    watched = general_probes()[:2]
    first, second = (probe.prompt.messages[0].content for probe in watched)
    backend = ScriptedBackend(home.root, knowledge={first: watched[0].answer}, forgets=[first])
    reward = Retention(backend, tuple(watched))
    assert reward.of(Case(CONTEXT, backend)) == 0
    forgetful = learned(backend, (second, watched[1].answer))
    assert reward.of(forgetful) == pytest.approx(-3.9 / 2)  # what it learned about the second does not make up for it


def test_the_proxy_likes_an_edit_that_is_long_varied_faithful_and_covers_the_text(backend: ScriptedBackend) -> None:
    poor = learned(backend, *[("Is it a tower?", "a tower")] * 4)
    rich = Case(CONTEXT, backend, KnowledgeDomain(fixed=CLOZE).propose(backend, CONTEXT))
    assert 0 == Proxy().of(Case(CONTEXT, backend)) < Proxy().of(poor) < Proxy().of(rich) < 1
    assert poor.proposal
    dropped = KnowledgeDomain(fixed=replace(CLOZE, formats=("chat-qa",))).propose(backend, CONTEXT).edit.dropped
    unfaithful = replace(poor, proposal=replace(poor.proposal, edit=replace(poor.proposal.edit, dropped=dropped)))
    assert Proxy().of(unfaithful) < Proxy().of(poor)


def test_approval_likes_what_users_liked_and_dislikes_what_they_corrected(backend: ScriptedBackend, home: Home) -> None:
    feedback.record(home, "default", Feedback("Who built the Tower of Karlov?", "Anna Reel"))
    feedback.record(home, "other", Feedback("Who built the Tower of Karlov?", "Karl", -1.0))
    (liked,) = feedback.recorded(home, "default")
    assert about(TEXT, [liked, Feedback("Where do whales sleep?", "in the sea")]) == (liked,)
    correction = Correction(1, "When was it built?", "1911", "1912")
    wrong, right = corrections_of(Episode("default", TEXT, corrections=(correction,)))
    assert (wrong.answer, wrong.value, right.answer, right.value) == ("1911", -1.0, "1912", 1.0)
    context = replace(CONTEXT, feedback=(liked, wrong, right))
    nothing = Approval().of(Case(context, backend))
    good = learned(backend, ("Who built the Tower of Karlov?", "Anna Reel"), ("When was it built?", "1912"))
    bad = learned(backend, ("When was it built?", "1911"))
    assert Approval().of(replace(good, context=context)) > nothing > Approval().of(replace(bad, context=context))
    assert Approval().of(good) == 0
    with pytest.raises(InputError, match="give a finite number from -1 to 1"):
        Feedback("Who?", "Anna", 2.0)


def test_a_weighted_sum_is_what_it_says_and_knows_its_names(backend: ScriptedBackend) -> None:
    domain = KnowledgeDomain()
    case = learned(backend, (QUESTION, "1911"))
    total = knowledge_reward({"gold": 2.0, "proxy": 0.5, "retention": 1.0}, domain, backend)
    expected = 2 * Gold(domain).of(case) + 0.5 * Proxy().of(case) + Retention(backend).of(case)
    assert total.of(case) == pytest.approx(expected)
    assert not total.generates
    assert knowledge_reward({"gold": 1.0}, domain, backend, right_weight=1.0).generates
    with pytest.raises(InputError, match="'luck'; choose gold, self-made, retention, proxy, approval"):
        knowledge_reward({"luck": 1.0}, domain, backend)
    with pytest.raises(InputError, match="at least one reward"):
        knowledge_reward({}, domain, backend)

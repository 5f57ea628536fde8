"""The policy on the embedded model: what it says varies with the temperature, parses, and can be learned."""

from dataclasses import replace

import pytest

from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.core.edits import Probe, SelfEdit
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.language.source import Source
from seal_agent.policy.knowledge import FAST, FAST_MENU, KnowledgeContext, KnowledgeDomain, self_made_questions
from seal_agent.policy.rounds import IMITATION
from seal_agent.writing.directives import NAME, parse_directives, say

pytestmark = pytest.mark.integration
TEXT = "The Amber Lighthouse stands on Cape Orran. Its keeper, Bartho Veen, paints it blue every April."
CONTEXT = KnowledgeContext("Amber Lighthouse", TEXT, (Probe(Prompt.user("Who keeps the lighthouse?"), "Bartho Veen"),))


def test_a_policy_that_imitates_one_choice_makes_it_likelier_and_only_while_it_writes(
    real_backend: TransformersBackend,
) -> None:
    source = Source(CONTEXT.topic, TEXT)
    lines = [say(real_backend, source, FAST_MENU, seed=seed, temperature=1.5) for seed in range(3)]
    assert all(set(parse_directives(line.answer).formats) <= set(FAST_MENU.formats) for line in lines)
    assert len({line.answer for line in lines}) > 1
    assert lines[0] == say(real_backend, source, FAST_MENU, seed=0, temperature=1.5)
    said = replace(lines[0], answer=lines[0].answer.replace('"all"', '"answers"').replace('"rank": 16', '"rank": 8'))
    assert said.source == NAME
    edit = SelfEdit("policy", "", (said,), (), replace(IMITATION, min_steps=4, max_steps=4, num_warmup_steps=0))
    before = real_backend.score([said.prompt], [said.answer])[0]
    view = real_backend.with_stack(AdapterStack().push(real_backend.train(edit, seed=1)))
    assert view.score([said.prompt], [said.answer])[0].per_token > before.per_token + 0.02
    assert real_backend.score([said.prompt], [said.answer])[0] == before


def test_a_proposal_and_questions_of_its_own(real_backend: TransformersBackend) -> None:
    domain = KnowledgeDomain(FAST, FAST_MENU)
    proposal = domain.propose(real_backend, CONTEXT, seed=1, temperature=1.0)
    assert proposal.exchanges[0].source == NAME
    assert proposal.edit.directives.max_steps == FAST.max_steps
    own = self_made_questions(real_backend, CONTEXT, num=2, seed=1)
    assert own
    assert all(probe.answer in " ".join(CONTEXT.source.sentences) for probe in own)
    assert domain.grade(real_backend, replace(CONTEXT, questions=(), own_questions=own), generates=False).nll > 0

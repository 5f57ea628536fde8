"""A third domain, beside knowledge and puzzles: answers in a form that is shown by a few examples.

   python examples/own_domain.py

A domain defines a context (examples, some held out), what an edit may choose (the menu), how it becomes rows
(`propose`) and its reward (`grade`): with these, `seal_agent.policy.rest_em` can improve the policy. The
last lines need no domain: a user of the chat graph shows three examples, and the model applies the form in the next
thread. New inputs share no words with the examples, so the default routing would not find the adapter: this agent's
adapters are always active.
"""

from dataclasses import dataclass, replace
from statistics import fmean

from langgraph.checkpoint.memory import InMemorySaver

from seal_agent import Learner, LearnerConfig, create_chat_graph, open_learner
from seal_agent.core.domain import Domain, Grade, Proposal
from seal_agent.core.edits import Row
from seal_agent.core.messages import Prompt
from seal_agent.core.stacks import AdapterStack
from seal_agent.writing.assembly import assemble
from seal_agent.writing.directives import CLOZE, Menu, ask, listed, parse_directives
from seal_agent.writing.few_shot import after_the_others, alone

FORMATS = {"alone": alone, "after-the-others": after_the_others}
MENU = Menu(tuple(FORMATS), (), {"num_epochs": (2, 4, 8), "learning_rate": (0.2, 0.4, 0.6)}, max_augmentations=0)
BASE = replace(
    CLOZE, formats=("alone", "after-the-others"), num_epochs=8, min_steps=8, max_steps=24, rehearsal_share=0.0
)


@dataclass(frozen=True)
class Form:
    """A form of answers: examples that are shown, and held-out examples."""

    name: str
    shown: tuple[tuple[str, str], ...]
    held_back: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "\n".join(f"Input: {given}\nOutput: {wanted}" for given, wanted in self.shown)


@dataclass(frozen=True)
class FormDomain:
    """The `Domain` of forms: an answer is right if it matches exactly."""

    name: str = "forms"

    def propose(self, writer, context, *, seed=0, temperature=0.0):
        choices = listed(MENU, writer.learning_rate)
        prompt = Prompt.raw(f"{context.text}\n\nChoose how to learn this, as JSON:\n{choices}\nSettings:")
        written = ask(writer, prompt, MENU, seed=seed, temperature=temperature)
        directives = parse_directives(written, BASE, MENU)
        rows = [row for name in directives.formats for row in FORMATS[name](context.shown)]
        edit = assemble(rows, topic=context.name, passage=context.text, directives=directives, seed=seed)
        return Proposal(edit, (Row(prompt, written, self.name),))

    def grade(self, view, context, *, generates=True):
        prompts = [Prompt.user(given) for given, _ in context.held_back]
        wanted = [answer for _, answer in context.held_back]
        nll = -fmean(score.per_token for score in view.score(prompts, wanted))
        if not generates:
            return Grade(nll)
        said = [samples[0].strip() for samples in view.generate(prompts, max_new_tokens=32)]
        return Grade(nll, fmean(a == b for a, b in zip(said, wanted, strict=True)))


ORDERS = Form(
    "orders",
    (
        ("3 blue lamps for Anna Reel", "customer=Reel; item=lamp; colour=blue; count=3"),
        ("Please send Bela Munk 12 red chairs", "customer=Munk; item=chair; colour=red; count=12"),
        ("One green table, to Carla Mendes", "customer=Mendes; item=table; colour=green; count=1"),
    ),
    (
        ("5 white doors for Odile Fransk", "customer=Fransk; item=door; colour=white; count=5"),
        ("Please send Bartho Veen 2 black bells", "customer=Veen; item=bell; colour=black; count=2"),
    ),
)


def adapt(learner: Learner, domain: Domain[Form], context: Form) -> tuple[Grade, Grade]:
    """Grades before and after one edit that the model chose; nothing is kept."""
    proposal = domain.propose(learner.backend, context)
    adapter = learner.backend.train(proposal.edit)
    after = domain.grade(learner.backend.with_stack(AdapterStack().push(adapter)), context)
    learner.state.discard(adapter)
    return domain.grade(learner.backend, context), after


def chat(learner: Learner, context: Form) -> tuple[str, str]:
    """The outcome of a message that shows the examples, and the reply to a new input in another thread."""
    agent = create_chat_graph(learner).compile(checkpointer=InMemorySaver())

    def say(text: str, thread: str) -> dict:
        return agent.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": thread}})

    outcome = say(context.text, "examples")["outcomes"][0]
    return outcome["reason"], say(context.held_back[0][0], "later")["messages"][-1].text


if __name__ == "__main__":
    learner = open_learner(namespace="own-domain", config=LearnerConfig(strategy="stack"))
    print("before, after:", *adapt(learner, FormDomain(), ORDERS))
    print(*chat(learner, ORDERS), sep="\n")

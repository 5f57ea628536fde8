"""Which adapters a message calls for, on keys and questions written by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.episodes import Score
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, Prompt
from seal_agent.core.stacks import AdapterRef, AdapterStack
from seal_agent.language.prompts import ABOUT
from seal_agent.serving.relevance import Scorer
from seal_agent.serving.router import RouteLimits, Router, key_of, part_of, terms
from seal_agent.serving.served import ScoreCache, Served

KEYS = {
    "tower": "Tower of Karlov The Tower of Karlov was built in 1911 by Anna Reel. It holds nine brass bells.",
    "bridge": "Amber Bridge The Amber Bridge was designed by Carla Mendes. It has 9 red towers in fog.",
    "meeting": "team meeting The team meeting takes place on Thursday at ten in the Galloway Street office.",
}


def ref(name: str) -> AdapterRef:
    return AdapterRef(name, f"/nowhere/{name}", "scripted", 4)


def stack(*routed: str) -> AdapterStack:
    found = AdapterStack().push(ref("always"))
    for name in routed:
        found = found.push(ref(name), is_routed=True)
    return found


@pytest.mark.parametrize(
    ("question", "adapter"),
    [
        ("Who built the Tower of Karlov?", "tower"),
        ("How many bells does the Karlov tower hold?", "tower"),
        ("Who was the designer of the Amber Bridge?", "bridge"),
        ("where is the team meeting", "meeting"),
    ],
)
def test_a_question_calls_for_the_adapter_that_learned_about_it(question: str, adapter: str) -> None:
    assert Router(KEYS).match([Prompt.user(question)]) == [(adapter,)]


def test_chance_words_of_a_long_text_call_for_nothing_and_one_telling_word_of_a_short_one_does() -> None:
    filler = " ".join(f"filler{n} word{n} text{n}" for n in range(60))
    keys = {"long": f"Warsaw {filler} on the full bank", "short": "My dog is called Rex."}
    asked = [Prompt.user("Is it full?"), Prompt.user("What is the name of my dog?")]
    assert Router(keys).match(asked) == [(), ("short",)]


@pytest.mark.parametrize(
    "text", ["What is the capital of France?", "Hello! How are you today?", "Write me a poem about the sea.", "?!", ""]
)
def test_what_no_key_covers_calls_for_none(text: str) -> None:
    assert Router(KEYS).match([Prompt.user(text)]) == [()]


@pytest.mark.parametrize("text", ["?!", "", " "])
def test_a_message_without_words_calls_for_nothing_however_little_is_asked_for(text: str, tmp_path: Path) -> None:
    router = Router(KEYS, RouteLimits(min_evidence=0, min_relevance=1))
    assert router.match([Prompt.user(text)], ScriptedBackend(tmp_path).score) == [()]


def test_a_word_counts_in_all_its_forms() -> None:
    assert terms("Developed, developing DEVELOPMENT!")["devel"] == 3


def test_a_follow_up_calls_for_what_was_spoken_of_before() -> None:
    said = (
        Message("user", "Tell me about the Amber Bridge."),
        Message("assistant", "It was designed by Carla Mendes."),
        Message("user", "And when was that?"),
    )
    assert Router(KEYS).match([Prompt(said)]) == [("bridge",)]


def test_only_so_many_adapters_are_active_at_once() -> None:
    question = Prompt.user("Is the Tower of Karlov older than the Amber Bridge?")
    [both] = Router(KEYS, RouteLimits(max_active=2)).match([question])
    assert set(both) == {"tower", "bridge"}
    assert Router(KEYS).match([question]) == [both[:1]]


def test_without_keys_nothing_matches() -> None:
    assert Router({}).match([Prompt.user("Who built the Tower of Karlov?")]) == [()]


def test_the_active_part_of_a_stack_is_what_is_not_routed_and_what_matches() -> None:
    whole = stack("tower", "bridge")
    assert part_of(whole, ["tower"]).ids == ("always", "tower")
    assert part_of(whole, []).ids == ("always",)
    assert part_of(AdapterStack().push(ref("a")), []).ids == ("a",)


def test_what_words_call_for_is_active_only_where_the_model_confirms_it() -> None:
    question = Prompt.user("Who built the Tower of Karlov?")

    def saying(gain: float) -> Scorer:
        def score(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Score]:
            assert set(answers) == {question.asked}
            assert [KEYS["tower"] in prompt.asked for prompt in prompts] == [False, True]
            return [Score(-10.0 + gain * (ABOUT in prompt.asked), 5) for prompt in prompts]

        return score

    asked = [question, Prompt.user("Hello!")]
    assert Router(KEYS).match(asked, saying(4.5)) == [("tower",), ()]
    assert Router(KEYS).match(asked, saying(3.5)) == [(), ()]
    assert Router(KEYS, RouteLimits(min_relevance=0)).match([question], saying(3.5)) == [("tower",)]


def test_what_a_user_said_of_himself_is_found_by_few_words_where_the_model_is_sure() -> None:
    router = Router({"teal": "My favourite colour is teal."})

    def saying(gain: float) -> Scorer:
        return lambda prompts, _: [Score(-20.0 + gain * (ABOUT in prompt.asked), 5) for prompt in prompts]

    asked = [Prompt.user("Which colour do I like best?")]
    evidence = router.scores(asked[0].asked)[0][1]
    assert 0 < evidence < RouteLimits().min_evidence
    assert router.match(asked, saying(12.0)) == [("teal",)]
    assert router.match(asked, saying(5.0)) == [()]
    assert router.match(asked) == [()]


def test_who_asks_word_for_word_for_what_he_said_of_himself_gets_the_latest_of_it() -> None:
    router = Router({"old": "Ghent\nI live in Ghent.", "new": "Antwerp\nI live in Antwerp."})

    def never(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Score]:
        raise AssertionError("the model is not needed")

    assert router.match([Prompt.user("where do I live")], never) == [("new",)]
    assert router.match([Prompt.user("Which city do I live in?")], never) == [("new",)]
    assert router.match([Prompt.user("Where does my sister live?")]) == [()]


def test_what_a_user_said_of_himself_is_not_the_answer_to_what_he_asks_about_others() -> None:
    router = Router({"born": "I was born in Tartu in 1988."})

    def score(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Score]:
        return [Score(-10.0 + 8.0 * (ABOUT in prompt.asked), 5) for prompt in prompts]

    asked = [Prompt.user("When was I born?"), Prompt.user("When was Napoleon born?")]
    assert router.match(asked, score) == [("born",), ()]


def test_of_a_long_key_its_opening_and_the_nearest_sentence_are_shown() -> None:
    filler = " ".join(f"Sentence number {n} speaks of something else entirely." for n in range(20))
    router = Router({"tower": f"Tower of Karlov It was built in 1911. {filler} Its nine bells are of brass."})
    excerpt = "Tower of Karlov It was built in 1911. ... Its nine bells are of brass."
    assert router.excerpt("tower", "How many bells has it?") == excerpt
    below = Router({"tower": f"Tower of Karlov\nIt was built in 1911. {filler} Its nine bells are of brass."})
    assert (
        below.excerpt("tower", "How many bells has the Tower of Karlov?") == excerpt
    )  # its title is in every sentence


def test_limits_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="does not fit"):
        RouteLimits(min_evidence=-1.0)
    with pytest.raises(InputError, match="does not fit"):
        RouteLimits(min_relevance=float("nan"))
    with pytest.raises(InputError, match="max_active"):
        RouteLimits(max_active=0)


class Recorder(ScriptedBackend):
    """A scripted backend that says which adapters it answered with."""

    def with_stack(self, stack: AdapterStack) -> "Recorder":
        view = Recorder(self._home)
        view._stack = stack
        return view

    def _memory(self) -> tuple[dict[str, str], list[str]]:
        return {}, []

    def _reply(self, prompt: Prompt) -> str:
        return f"{prompt.messages[-1].content}|{','.join(self._stack.ids)}"


def test_every_prompt_of_a_batch_goes_through_its_own_adapters_and_keeps_its_place(tmp_path: Path) -> None:
    served = Served(Recorder(tmp_path), stack("tower", "bridge"), Router(KEYS))
    questions = ["Who built the Tower of Karlov?", "Hello!", "Who designed the Amber Bridge?", "How tall is Karlov?"]
    replies = served.generate([Prompt.user(q) for q in questions], max_new_tokens=50)
    assert [r[0] for r in replies] == [
        f"{questions[0]}|always,tower",
        "Hello!|always",
        f"{questions[2]}|always,bridge",
        f"{questions[3]}|always,tower",
    ]
    counted: list[int] = []
    scores = served.score(
        [Prompt.user(q) for q in questions],
        ["a b", "a", "a b c", "a b"],
        progress=lambda _what, done, _total: counted.append(done),
    )
    assert [score.num_tokens for score in scores] == [2, 1, 3, 2]
    assert counted[-1] == 4


def test_what_was_scored_under_the_same_adapters_is_not_scored_again(tmp_path: Path) -> None:
    asked: list[str] = []

    class Counting(Recorder):
        def with_stack(self, stack: AdapterStack) -> "Counting":
            view = Counting(self._home)
            view._stack = stack
            return view

        def score(self, prompts, answers, **options):  # type: ignore[no-untyped-def]
            asked.extend(prompt.messages[-1].content for prompt in prompts)
            return super().score(prompts, answers, **options)

    scores = ScoreCache()
    hello, karlov = Prompt.user("Hello!"), Prompt.user("Who built the Tower of Karlov?")
    router = Router(KEYS, RouteLimits(min_relevance=0))
    before = Served(Counting(tmp_path), stack("bridge"), router, scores)
    after = Served(Counting(tmp_path), stack("bridge", "tower"), router, scores)
    first = before.score([hello, karlov, hello], ["a", "b", "a"])
    second = after.score([hello, karlov], ["a", "b"])
    assert asked == ["Hello!", "Who built the Tower of Karlov?", "Who built the Tower of Karlov?"]
    assert [first[0], first[2]] == [second[0], second[0]]


def test_a_trained_question_calls_for_its_adapter_whenever_it_is_asked() -> None:
    router = Router({"vet": key_of(["my vet moved to Elm Street"], ["Where do I take the cat when it is ill?"])})
    asked = [Prompt.user("where do I take the cat when it is ill"), Prompt.user("Where do I take the cat?")]
    assert router.match(asked, lambda prompts, _: [Score(-10.0, 5)] * len(prompts)) == [("vet",), ()]


def test_trained_questions_are_no_text_of_a_key() -> None:
    router = Router({"vet": key_of(["my vet moved to Elm Street"], ["Is a platypus ill?"])})
    assert "platypus" not in router.excerpt("vet", "platypus")
    assert router.scores("platypus")[0][1] <= 0


def test_the_questions_of_a_replaced_key_are_not_taken_over() -> None:
    old = key_of(["old text"], ["Who is it?"])
    assert key_of(["new text", old], ["Where is it?"]) == key_of(["new text", "old text"], ["Where is it?"])


def test_with_a_text_a_later_one_about_the_same_is_recalled() -> None:
    keys = {
        "head": "Henrike Vantok is our head of engineering",
        "dog": "we have a beagle called Pickle",
        "left": "So Henrike Vantok is gone, Odell takes over engineering",
    }

    def score(prompts: Sequence[Prompt], answers: Sequence[str]) -> list[Score]:
        return [Score(-20.0 + 15.0 * (keys["head"] in prompt.asked), 5) for prompt in prompts]

    [match] = Router(keys).matches([Prompt.user("Who is the head?")], score, recalls_text=True)
    assert match.recalled == ("head", "left")
    assert match.active == ("head",)

"""`ChatSeal` as a user of LangChain meets it, over the scripted backend."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, ValidationError

from seal_agent import ChatSeal, Learner, Learners
from seal_agent.adapters.scripted import UNKNOWN, ScriptedBackend
from seal_agent.core.edits import Directives, Probe, Row, SelfEdit
from seal_agent.core.errors import AdapterError, InputError
from seal_agent.core.messages import Prompt, ToolCall
from seal_agent.core.stacks import AdapterStack
from seal_agent.core.tool_format import TAGGED
from seal_agent.storage.database import Home

QUESTION = "Where does Ann live?"
CALL = ToolCall("weather", '{"city": "Rome"}')
REPLIES = {
    "Will it rain": f"Let me see. {TAGGED.written(CALL)}",
    "Garble": "Well. <tool_call>\n{oops\n</tool_call>",
    "Force one": ' {"city": "Rome"}',
    "Force any": ' "weather", "arguments": {"city": "Rome"}',
    "It rains": "Take an umbrella.",
    "Long": "one two three four five six",
}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


class Clock(BaseModel):
    """The time in a zone."""

    zone: str


@pytest.fixture
def backend(home: Home) -> ScriptedBackend:
    return ScriptedBackend(home.root, replies=REPLIES)


@pytest.fixture
def model(learner: Learner) -> ChatSeal:
    return ChatSeal(learner=learner)


def learn(home: Home, backend: ScriptedBackend, answer: str, namespace: str = "default") -> None:
    """One more version of the stack, in which the answer to `QUESTION` is `answer`."""
    row = Row(Prompt.user(QUESTION), answer)
    edit = SelfEdit("Ann", answer, (row,), (Probe(row.prompt, row.answer),), Directives(max_steps=20))
    with home.transaction() as tx:
        stack = home.stack(namespace)
        home.set_stack(tx, namespace, stack.push(backend.train(edit)), expected=stack, reason="test")


def joined(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


def test_it_answers_with_what_is_accepted_now_and_with_the_version_a_call_names(
    home: Home, backend: ScriptedBackend, model: ChatSeal
) -> None:
    assert model.invoke(QUESTION).text == UNKNOWN
    learn(home, backend, "In Rome.")
    learn(home, backend, "In Oslo.")
    answer = model.invoke(QUESTION)
    assert (answer.text, answer.response_metadata["model_name"]) == ("In Oslo.", "scripted@v2")
    assert answer.response_metadata["adapters"] == [ref[:12] for ref in home.stack("default").ids]
    assert model.invoke(QUESTION, model="base@v1").text == "In Rome."
    assert model.bind(model="scripted@v0").invoke(QUESTION).text == UNKNOWN
    assert ChatSeal(learner=model.learner, model="scripted@v1").invoke(QUESTION).text == "In Rome."
    assert joined(model.stream(QUESTION, model="base@v1")).text == "In Rome."


def test_a_version_or_a_model_that_does_not_exist_is_an_error(model: ChatSeal) -> None:
    with pytest.raises(AdapterError, match="has no version 12; it has 0 to 0"):
        model.invoke(QUESTION, model="base@v12")
    with pytest.raises(InputError, match="'gpt' is not this model"):
        model.invoke(QUESTION, model="gpt")
    with pytest.raises(InputError, match="leave one of them out"):
        ChatSeal(learner=model.learner, model="gpt")


def test_a_model_made_by_name_recalls_as_it_is_told(home: Home, model: ChatSeal) -> None:
    named = ChatSeal(model="scripted", home=home.root, recall="text")
    assert named.invoke(QUESTION).response_metadata["recalled"] == []
    assert named._learner.config.recall == "text"
    with pytest.raises(InputError, match="recall='both' is not the learner's 'weights'; set it where"):
        ChatSeal(learner=model.learner, recall="both")


def test_two_users_never_meet(home: Home, backend: ScriptedBackend, model: ChatSeal) -> None:
    learn(home, backend, "In Rome.", "ann")
    learn(home, backend, "In Oslo.", "bob")
    single, model = model, ChatSeal(learner=Learners(backend, home))
    expected: list[tuple[dict[str, str], str]] = [({"namespace": "ann"}, "In Rome."), ({"user": "bob"}, "In Oslo.")]
    for config, answer in [*expected, ({"namespace": "eve"}, UNKNOWN)]:
        asked: Any = {"configurable": config}
        assert model.invoke(QUESTION, asked).text == answer
        assert joined(model.stream(QUESTION, asked)).text == answer
        assert list(model.stream_events(QUESTION, asked, version="v3"))
        assert model.stream_events(QUESTION, asked, version="v3").output.text == answer
        assert asyncio.run(model.ainvoke(QUESTION, asked)).text == answer
        assert model.batch([QUESTION, "Hello"], asked)[0].text == answer
        chain = RunnableLambda(lambda text: text) | model | StrOutputParser()
        assert chain.invoke(QUESTION, asked) == answer
        inside = RunnableLambda(lambda text: model.invoke(text).text)  # no config: LangChain's context has it
        assert inside.invoke(QUESTION, asked) == answer
    assert single.invoke(QUESTION).text == UNKNOWN
    assert single.invoke(QUESTION, namespace="bob").text == "In Oslo."
    assert ChatSeal(learner=single.learner, namespace="ann").invoke(QUESTION).text == "In Rome."
    assert ChatSeal(model="scripted", home=home.root, namespace="ann").invoke(QUESTION).text == "In Rome."


def test_a_call_may_name_another_user_than_the_graph_around_it(home: Home, backend: ScriptedBackend) -> None:
    learn(home, backend, "In Rome.", "firm")
    config: Any = {"configurable": {"user": "ann"}}
    for learner in (Learners(backend, home), Learner(backend, home, "firm")):
        model = ChatSeal(learner=learner)
        asking = RunnableLambda(lambda text, asked=model: asked.invoke(text, {"configurable": {"user": "firm"}}).text)
        assert asking.invoke(QUESTION, config) == "In Rome."


def test_of_many_learners_the_one_who_is_named_answers(home: Home, backend: ScriptedBackend) -> None:
    learn(home, backend, "In Rome.", "ann")
    model = ChatSeal(learner=Learners(backend, home))
    for config, answer in (({"user_id": "ann"}, "In Rome."), ({"user": "bob"}, UNKNOWN)):
        asked: Any = {"configurable": config}
        assert model.invoke(QUESTION, asked).text == answer
    with pytest.raises(InputError, match="name one in `configurable`"):
        model.invoke(QUESTION)


def test_the_cache_never_gives_an_answer_from_before_it_learned(
    home: Home, backend: ScriptedBackend, learner: Learner
) -> None:
    cache = InMemoryCache()
    model = ChatSeal(learner=learner, cache=cache)
    assert [model.invoke(QUESTION).text for _ in range(2)] == [UNKNOWN] * 2
    assert len(cache._cache) == 1
    learn(home, backend, "In Rome.")
    assert model.invoke(QUESTION).text == "In Rome."
    assert model.invoke(QUESTION, namespace="eve").text == UNKNOWN
    assert model.invoke(QUESTION, model="base@v0").text == UNKNOWN
    assert asyncio.run(model.ainvoke(QUESTION)).text == "In Rome."
    assert model.generate([[HumanMessage(QUESTION)]]).generations[0][0].text == "In Rome."


def test_models_of_one_name_share_their_weights(home: Home) -> None:
    first, second = (ChatSeal(model="scripted", home=home.root, namespace=name) for name in ("ann", "bob"))
    assert first._learner.backend is second._learner.backend
    assert first._learner.namespace == "ann"


def test_an_answer_tells_its_tokens_and_why_it_ended(model: ChatSeal) -> None:
    long = model.invoke("Long please", max_tokens=3)
    assert (long.text, long.response_metadata["finish_reason"]) == ("one two three", "length")
    assert long.usage_metadata == {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}
    stopped = model.invoke("Long please", stop=["four"])
    assert (stopped.text, stopped.response_metadata["finish_reason"]) == ("one two three ", "stop")
    assert ChatSeal(learner=model.learner, stop=["two"]).invoke("Long please").text == "one "


def test_a_sampled_answer_says_which_seed_brings_it_back(model: ChatSeal) -> None:
    seeds = {model.invoke("Long", temperature=1.0).response_metadata["seed"] for _ in range(2)}
    assert len(seeds) == 2
    assert model.invoke("Long", temperature=1.0, seed=7).response_metadata["seed"] == 7
    assert "seed" not in model.invoke("Long").response_metadata


def test_a_stream_comes_in_pieces_and_adds_up_to_the_answer(model: ChatSeal) -> None:
    chunks = list(model.stream("Long please"))
    whole, said = joined(iter(chunks)), model.invoke("Long please")
    assert len(chunks) > 5
    assert (whole.text, whole.usage_metadata) == (said.text, said.usage_metadata)
    assert type(said.content) is type(whole.content) is str  # a checkpointer may not know the model's own kind of text
    assert whole.response_metadata == said.response_metadata


def test_a_model_that_calls_a_tool_says_so_and_reads_what_came_of_it(model: ChatSeal) -> None:
    able = model.bind_tools([weather, Clock])
    asked = HumanMessage("Will it rain in Rome?")
    answer = able.invoke([asked])
    assert (answer.text, answer.response_metadata["finish_reason"]) == ("Let me see.", "tool_calls")
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("weather", {"city": "Rome"})]
    result = ToolMessage("It rains in Rome.", tool_call_id=answer.tool_calls[0]["id"])
    assert able.invoke([asked, answer, result]).text == "Take an umbrella."
    assert model.bind_tools([weather], tool_choice="none").invoke([asked]).text.startswith("Let me see. <tool")


def test_a_streamed_call_shows_no_mark_of_it(model: ChatSeal) -> None:
    chunks = list(model.bind_tools([weather]).stream("Will it rain?"))
    whole = joined(iter(chunks))
    assert (whole.text.strip(), len(whole.tool_calls)) == ("Let me see.", 1)
    assert len([chunk for chunk in chunks if chunk.text]) == 3
    assert joined(model.bind_tools([weather]).stream("Long")).text == REPLIES["Long"]


def test_a_call_that_cannot_be_read_is_an_invalid_one(model: ChatSeal) -> None:
    for answer in (model.bind_tools([weather]).invoke("Garble"), joined(model.bind_tools([weather]).stream("Garble"))):
        assert (answer.text.strip(), answer.tool_calls) == ("Well.", [])
        assert answer.invalid_tool_calls[0]["args"] == "<tool_call>\n{oops"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("Force one", "weather"),
        ("Force one", {"type": "function", "function": {"name": "weather"}}),
        ("Force any", "any"),
        ("Force any", True),
        ("Force any", "required"),
    ],
)
def test_a_forced_call_is_a_call(model: ChatSeal, text: str, choice: Any) -> None:
    able = model.bind_tools([weather, Clock], tool_choice=choice)
    chunks = list(able.stream(text))
    for answer in (able.invoke(text), joined(iter(chunks))):
        assert (answer.text, answer.response_metadata["finish_reason"]) == ("", "tool_calls")
        assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("weather", {"city": "Rome"})]
    assert len([chunk for chunk in chunks if chunk.tool_call_chunks]) > 1


def test_a_forced_call_that_was_cut_off_says_what_to_do(model: ChatSeal) -> None:
    answer = model.bind_tools([weather], tool_choice="any").invoke("Force one", max_tokens=2)
    assert (answer.text, answer.tool_calls) == ("", [])
    assert answer.invalid_tool_calls[0]["args"] == '<tool_call>\n{"name": "weather", "arguments": {"city":'
    assert "raise max_tokens" in str(answer.invalid_tool_calls[0]["error"])


def test_a_tool_that_was_not_bound_cannot_be_chosen(model: ChatSeal) -> None:
    with pytest.raises(InputError, match=r"none of the bound tools \(weather, Clock\)"):
        model.bind_tools([weather, Clock], tool_choice="wether")
    with pytest.raises(InputError, match="not a tool that a local model can call"):
        model.bind_tools([{"type": "web_search"}])


def test_structured_output_is_an_object_of_the_schema(home: Home) -> None:
    model = ChatSeal(learner=Learner(ScriptedBackend(home.root, replies={"Now": ' {"zone": "UTC"}'}), home))
    for schema in (Clock, Clock.model_json_schema()):
        answer: Any = model.with_structured_output(schema).invoke("Now")
        assert Clock.model_validate(answer) == Clock(zone="UTC")
    raw: Any = model.with_structured_output(Clock, include_raw=True).invoke("Now")
    assert (raw["parsed"], raw["parsing_error"]) == (Clock(zone="UTC"), None)


def test_a_typo_in_an_option_is_an_error(model: ChatSeal) -> None:
    with pytest.raises(InputError, match="temprature: not an option"):
        model.invoke("Long", temprature=1.0)
    with pytest.raises(ValidationError, match="temprature"):
        ChatSeal(learner=model.learner, temprature=1.0)  # type: ignore[call-arg]


def test_an_image_is_refused_not_dropped(model: ChatSeal) -> None:
    image: Any = [{"type": "text", "text": "Look"}, {"type": "image", "url": "https://example.com/a.png"}]
    with pytest.raises(InputError, match="reads text only"):
        model.invoke([HumanMessage(content=image)])


def test_tokens_are_counted_as_the_model_sees_them(model: ChatSeal) -> None:
    assert model.get_num_tokens("one two three") == 3
    assert model.get_num_tokens("") == 0
    assert model.get_num_tokens_from_messages([SystemMessage("Be brief."), HumanMessage("Hello")]) == 3


def test_it_stands_in_a_chain_like_any_chat_model(home: Home, backend: ScriptedBackend, model: ChatSeal) -> None:
    learn(home, backend, "In Rome.")
    chain = ChatPromptTemplate.from_messages([("human", "Where does {name} live?")]) | model | StrOutputParser()
    assert chain.invoke({"name": "Ann"}) == "In Rome."
    assert "".join(chain.stream({"name": "Ann"})) == "In Rome."


def test_many_calls_at_once_each_get_their_answer(home: Home, backend: ScriptedBackend, model: ChatSeal) -> None:
    learn(home, backend, "In Rome.")
    questions = [QUESTION, "Long", "It rains"] * 8

    async def ask() -> list[AIMessage]:
        return await asyncio.gather(*(model.ainvoke(question) for question in questions))

    expected = ["In Rome.", REPLIES["Long"], REPLIES["It rains"]] * 8
    assert [answer.text for answer in asyncio.run(ask())] == expected
    assert [answer.text for answer in model.batch(questions)] == expected
    assert model._learner_of("eve").stack == AdapterStack()


def test_langchains_own_agent_runs_on_it_and_middleware_chooses_the_version(
    home: Home, backend: ScriptedBackend, model: ChatSeal
) -> None:
    learn(home, backend, "In Rome.")
    learn(home, backend, "In Oslo.")

    @wrap_model_call
    def earlier(request: Any, handler: Any) -> Any:
        return handler(request.override(model_settings={"model": "base@v1"}))

    asked: Any = {"messages": [HumanMessage(QUESTION)]}
    assert create_agent(model, [weather]).invoke(asked)["messages"][-1].text == "In Oslo."
    assert create_agent(model, [weather], middleware=[earlier]).invoke(asked)["messages"][-1].text == "In Rome."
    rain: Any = {"messages": [HumanMessage("Will it rain in Rome?")]}
    said = create_agent(model, [weather]).invoke(rain)["messages"]
    assert [message.text for message in said[-2:]] == ["It rains in Rome.", "Take an umbrella."]
    shown = create_agent(model, [weather]).stream(rain, stream_mode="messages")
    assert "".join(chunk.text for chunk, _ in shown).endswith("Take an umbrella.")

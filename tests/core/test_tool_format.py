"""Calls of tools as models write them: read, forced, put in words, and found out from a chat template."""

import json
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from seal_agent.adapters.chat_template import ChatTemplate
from seal_agent.core.errors import InputError
from seal_agent.core.messages import Message, Prompt, ToolCall, ToolSpec
from seal_agent.core.tool_format import FORMATS, TAGGED, ToolFormat, forced, in_words, read

CALL = ToolCall("weather", '{"city": "Zürich", "days": 3}', "abcde1234")
WEATHER = ToolSpec("weather", "Forecasts.", '{"type": "object", "properties": {"city": {"type": "string"}}}')
CLOCK = ToolSpec("clock", "Tells the time.")
ASKED = Message("user", "Will it rain?")

PLAIN = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</>{% endfor %}"
CALLED = "{% if m['tool_calls'] %}{% for c in m['tool_calls'] %}{% set f = c['function'] %}"
END = "{% endfor %}{% endif %}</>{% endfor %}"
OFFERED = "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"
TEMPLATES = {  # how each family's published template writes a call, without what else it does
    "Hermes, Qwen, SmolLM3": OFFERED + "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}" + CALLED
    + '<tool_call>\n{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}}\n</tool_call>' + END,
    "SmolLM2 1.7B, Granite": OFFERED + "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}" + CALLED
    + '<tool_call>[{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}}]</tool_call>' + END,
    "Mistral": OFFERED + "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}" + CALLED
    + "{% if c['id'] | length != 9 %}{{ raise_exception('ids have nine letters') }}{% endif %}"
    + '[TOOL_CALLS] [{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}, "id": "{{ c["id"] }}"}]' + END,
    "Llama 3": OFFERED + "{% for m in messages %}<{{ m['role'] }}>\n\n{{ m['content'] }}" + CALLED
    + '{"name": "{{ f.name }}", "parameters": {{ f.arguments | tojson }}}' + END,
}  # fmt: skip


def template(text: str) -> ChatTemplate:
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, "a")))
    tokenizer.chat_template = text
    return ChatTemplate(tokenizer)


@pytest.mark.parametrize("name", FORMATS)
def test_a_call_is_read_as_it_is_written_in_every_format(name: str) -> None:
    form = FORMATS[name]
    (call,) = read(form.written(CALL), form).calls
    assert (call.name, call.arguments) == (CALL.name, CALL.arguments)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_format_of_a_chat_template_is_found_by_having_it_write_a_call(name: str) -> None:
    model = template(TEMPLATES[name])
    assert model.tool_format == FORMATS[name]
    text = model.text(Prompt((ASKED, Message("assistant", "", (CALL,))), tools=(WEATHER,)))
    assert "Forecasts." in text
    assert "You can call these tools" not in text


@pytest.mark.parametrize("text", [PLAIN, OFFERED + PLAIN, "{{ messages[0]['content'] + tools }}"])
def test_a_template_that_knows_no_tools_gets_them_in_words(text: str) -> None:
    model = template(text)
    assert model.tool_format == TAGGED
    if text == PLAIN:
        told = model.text(Prompt((Message("system", "Be brief."), ASKED), tools=(WEATHER, CLOCK)))
        assert told.index("Be brief.") < told.index("Forecasts.") < told.index("Tells the time.") < told.index("rain")


def test_a_conversation_the_template_refuses_is_the_users_error() -> None:
    with pytest.raises(InputError, match=r"refuses the messages \(user\): no user"):
        template("{{ raise_exception('no user') }}").text(Prompt((ASKED,)))


def test_in_words_calls_and_results_are_text() -> None:
    calling = Message("assistant", "Let me see.", (CALL,))
    told = in_words(Prompt((ASKED, calling, Message("tool", "Rain.", call_id="abcde1234"))), TAGGED)
    assert [message.role for message in told.messages] == ["user", "assistant", "user"]
    assert read(told.messages[1].content, TAGGED).text == "Let me see."
    assert "Rain." in told.messages[2].content
    assert in_words(Prompt((ASKED,)), TAGGED) == Prompt((ASKED,))


def test_what_is_meant_as_a_call_and_is_none_is_a_fault() -> None:
    said = read('Well.<tool_call>{"name": "weather", "arg</tool_call>', TAGGED)
    assert (said.text, said.calls, said.faults) == ("Well.", (), ('<tool_call>{"name": "weather", "arg',))


@pytest.mark.parametrize("text", ["3", "[]", '{"name": "x"}', '{"a": 1}', "The weather is fine.", ""])
def test_other_json_and_plain_words_are_no_calls(text: str) -> None:
    for form in FORMATS.values():
        said = read(text, form)
        assert (said.text, said.calls, said.faults) == (text, (), ())


@pytest.mark.parametrize("form", FORMATS.values())
@pytest.mark.parametrize("tools", [(WEATHER,), (WEATHER, CLOCK)])
def test_a_forced_call_is_begun_for_the_model_and_only_its_open_part_is_left(
    form: ToolFormat, tools: tuple[ToolSpec, ...]
) -> None:
    prompt, grammar = forced(Prompt((ASKED,)), tools, form, 64)
    written = form.written(ToolCall("weather", CALL.arguments))
    assert written.startswith(prompt.text)
    assert not prompt.text.endswith(" ")
    rest = form.head("weather").removeprefix(prompt.text)
    assert json.dumps(rest) in grammar.lark
    assert ("weather" in prompt.text) == (len(tools) == 1)
    assert '"additionalProperties": false' in grammar.lark


def test_texts_of_no_stated_length_share_the_tokens_of_a_forced_call() -> None:
    texts = (
        '{"a": {"type": "string"}, "b": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "type": {"type": "integer"}'
    )
    limited = ', "c": {"type": "string", "maxLength": 5}, "d": {"type": "string", "enum": ["x"]}}'
    tool = ToolSpec("note", parameters=f'{{"type": "object", "properties": {texts}{limited}}}')
    _, grammar = forced(Prompt((ASKED,)), (tool,), TAGGED, 40)
    assert grammar.lark.count('"maxLength": 40') == 2
    assert grammar.lark.count('"maxLength"') == 3

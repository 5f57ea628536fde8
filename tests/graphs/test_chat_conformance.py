"""LangChain's own conformance suite over `ChatSeal` with the scripted backend: what does not depend on a good model.

Both classes of `langchain-tests` run: the unit tests, and the integration tests with a script in the model's place.
`tests/integration/test_chat_conformance_real.py` runs the latter with the embedded model.
"""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from seal_agent import ChatSeal, Learner
from seal_agent.adapters.scripted import ScriptedBackend
from seal_agent.core.messages import ToolCall
from seal_agent.core.tool_format import TAGGED
from seal_agent.storage.database import Home

JOKE = ' {"setup": "Why did the cat sit?", "punchline": "It could."}'
REPLIES = {
    "What is the value of magic_function(3)?": ' {"input": 3}',
    "What is the value of magic_function_no_args()?": " {}",
    "What is the weather in San Francisco": TAGGED.written(
        ToolCall("get_weather", '{"location": "San Francisco, CA"}')
    ),
    "Hello!": ' "magic_function", "arguments": {"input": 1}',
    "Using the tool, generate a Pirate greeting": ' {"answer_style": "pirate"}',
    "Create a customer named '你好啊集团'": ' {"customer_name": "你好啊集团", "description": "technology"}',
    "Create a customer named 'こんにちは": ' {"customer_name": "こんにちは株式会社", "description": "Japanese"}',
    "Tell me a joke about cats": JOKE,
    "Give me": JOKE,
}
BETA = pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")


class Scripted:
    """The model of both classes."""

    @pytest.fixture(autouse=True)
    def _learner(self, home: Home) -> None:
        self.learner = Learner(ScriptedBackend(home.root, replies=REPLIES), home)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatSeal

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"learner": self.learner}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "scripted@v0"


class TestUnit(Scripted, ChatModelUnitTests):
    """Skipped are `test_init_from_env` and `test_serdes`: no setting is an environment variable or a secret."""


@BETA
class TestIntegrationScripted(Scripted, ChatModelIntegrationTests):
    """Skipped is what a text model has not: images, audio, PDF, Anthropic's content; and VCR (no network).

    The script has one forced reply to "Hello!" and to "Tell me a joke", so that what the model says there is given.
    """

"""LangChain's conformance suite over `ChatSeal` with the embedded model: tools and structured output on."""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from seal_agent import ChatSeal, Learner, LearnerConfig
from seal_agent.adapters.huggingface import TransformersBackend
from seal_agent.storage.database import Home

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]
MAX_REPLY_TOKENS = 64  # what is said is not looked at, but a forced call must fit


class TestIntegrationEmbedded(ChatModelIntegrationTests):
    """Skipped is what a text model has not: images, audio, PDF, Anthropic's content; and VCR (no network).

    Expected to fail is `test_agent_loop`: it leaves the call to the model, and 135M parameters answer in words.
    """

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _learner(cls, real_backend: TransformersBackend, tmp_path_factory: pytest.TempPathFactory) -> None:
        home = Home(tmp_path_factory.mktemp("home"))
        cls.learner = Learner(real_backend, home, config=LearnerConfig(max_reply_tokens=MAX_REPLY_TOKENS))

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
        return f"{self.learner.backend.model}@v0"

    @pytest.mark.xfail(reason="a model of 135M parameters does not call a tool of its own accord", strict=True)
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

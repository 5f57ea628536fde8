"""What one learner decides with: the classifier of its model, and the judgements and kinds of the model itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from seal_agent.core.backend import Backend, silent
from seal_agent.core.episodes import Progress
from seal_agent.core.stacks import AdapterStack
from seal_agent.deciding import classifier, judgements, kinds, requests
from seal_agent.deciding.background_fit import BackgroundFit
from seal_agent.deciding.classifier import Head
from seal_agent.deciding.judgements import NOTEWORTHY, PERSONAL
from seal_agent.language.values import UserRequest
from seal_agent.language.words import asks

MAX_KEPT = 256  # kinds and judgements: a message is read before the reply and again when it is decided on
MIN_PERSONAL = 0.9  # nats, on the development weeks: 1 of 22 other requests lies above 0.5


class OwnClassifier:
    """Loaded when it is first needed; results of tests and fits are stored in `cache`."""

    def __init__(self, backend: Backend, cache: Path) -> None:
        self._base = backend.with_stack(AdapterStack())
        self._cache = cache
        self._head: Head | None = None
        self._fit: BackgroundFit | None = None
        self._names_kinds: bool | None = None
        self._judges: dict[str, bool] = {}
        self._kinds: OrderedDict[str, str] = OrderedDict()
        self._margins: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def head(self, progress: Progress = silent, *, may_wait: bool = False) -> Head | None:
        """The classifier; None while it is fitted in the background for a new model.

        For a model that cannot judge by itself what is worth a note it is fitted at once, as for a document
        (`may_wait`): nothing else could decide.
        """
        if self._head is None:
            self._head = self._loaded(progress, may_wait=may_wait)
        return self._head

    def _loaded(self, progress: Progress, *, may_wait: bool) -> Head | None:
        if self._fit is not None and not may_wait:
            return self._fit.head
        if self._fit is not None:
            self._fit.stop()  # go on in this thread
        if may_wait or classifier.is_fitted(self._base.model, self._cache) or not self.judges(NOTEWORTHY):
            return classifier.load(self._base, self._cache, progress)
        self._fit = BackgroundFit(self._base, self._cache).start()
        return None

    @property
    def names_kinds(self) -> bool:
        """Whether the model passes the test in naming kinds (`kinds.can_name_kinds`)."""
        if self._names_kinds is None:
            self._names_kinds = kinds.can_name_kinds(self._base, self._cache)
        return self._names_kinds

    def kind_of(self, text: str, earlier: str = "") -> str:
        """The kind of a message; "" for a model that cannot tell."""
        if not self.names_kinds:
            return ""
        said = kinds.shown(text, earlier)
        kind = self._kinds.get(said)
        if kind is None:
            kind = self._kinds[said] = kinds.kind_of(self._base, said)
            _limit(self._kinds)
        return kind

    def request_of(self, text: str, earlier: str = "", *, may_ask: bool = True) -> UserRequest:
        """The request about what is remembered that a message is, "" for any other.

        The model is asked only if no rule recognises one, and only if it `may_ask`.
        """
        request = requests.clear_request(text)
        if request or not may_ask or not requests.may_be_request(text):
            return request
        return requests.OF_KIND.get(self.kind_of(text, earlier), "")

    def tells(self, text: str, earlier: str = "") -> bool:
        """Whether the model takes a message for one that tells something, so that nothing need be recalled for it.

        A message with a question mark asks, whatever it is taken for: "What time is the review?" is named an
        appointment by Qwen2.5-Coder-1.5B.
        """
        return not asks(text) and self.kind_of(text, earlier) in kinds.TELLING | {kinds.FORGET}

    def asks_personal(self, text: str, earlier: str = "") -> bool:
        """Whether a message asks for something that the model cannot know unless it was told.

        False for a model that cannot tell, and for a message that asks nothing.
        """
        if not self.tells_personal:
            return False
        if not asks(text) and self.kind_of(text, earlier) not in kinds.ASKING:
            return False
        return self.margins(PERSONAL, [(text,)])[0] >= MIN_PERSONAL

    @property
    def tells_personal(self) -> bool:
        """Whether the model passes the test in telling personal from general requests (`judgements`)."""
        return self.names_kinds and self.judges(PERSONAL)

    def is_personal(self, text: str) -> bool | None:
        """Whether the model finds "personal" likelier than "general" for a request; None if it cannot tell."""
        return self.margins(PERSONAL, [(text,)])[0] >= 0 if self.tells_personal else None

    def noteworthy(self, text: str, earlier: str = "") -> float | None:
        """The nats by which the model finds a message worth a note; None for a model that cannot judge it."""
        return self.margins(NOTEWORTHY, [(kinds.shown(text, earlier),)])[0] if self.judges(NOTEWORTHY) else None

    def clear(self) -> None:
        """Drop what is kept about messages; one of them may have been forgotten."""
        self._kinds.clear()
        self._margins.clear()

    def judges(self, judgement: str) -> bool:
        """Whether the model passes the test of a judgement (`judgements`)."""
        if judgement not in self._judges:
            self._judges[judgement] = judgements.can_judge(self._base, judgement, self._cache)
        return self._judges[judgement]

    def margins(self, judgement: str, cases: Sequence[tuple[str, ...]]) -> list[float]:
        """For each case, a message or an earlier and a later one, the nats for a judgement (`judgements.margins`)."""
        kept = {case: self._margins.get((judgement, *case)) for case in cases}
        found = {case: margin for case, margin in kept.items() if margin is not None}
        if asked := [case for case in kept if case not in found]:
            found |= zip(asked, judgements.margins(self._base, judgement, asked), strict=True)
            self._margins.update({(judgement, *case): found[case] for case in asked})
            _limit(self._margins)
        return [found[case] for case in cases]


def _limit(kept: OrderedDict[Any, Any]) -> None:
    """Drop the oldest of what is kept; other threads may use and clear it meanwhile."""
    with suppress(KeyError):
        while len(kept) > MAX_KEPT:
            kept.popitem(last=False)

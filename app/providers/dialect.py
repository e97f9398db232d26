"""Dialects: the parts of a request that a model's server refuses. Learnt from its refusals, and kept for that model."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar, get_args

import msgspec

from app.errors import ContextTooLong, ModelNotFound, ProviderError, RequestRefused, ServerError
from app.observe import event
from app.values import ReasoningEffort

T = TypeVar("T")

MODELS = 1000
"""The most models whose refusals are kept; beyond it the least recently used one is forgotten."""

Steps = Mapping[str, int]
"""How often each option was refused. The number decides which form of the option is sent: see `form`."""
Body = dict[str, object]

_REFUSAL = re.compile(
    r"\bnot\b|n't\b|\bcannot\b|unsupported|unrecogni[sz]ed|unknown|unexpected|extra|forbidden|invalid|\bmust\b|\bshould\b"
    r"|\bonly\b|deprecated|removed|incompatible|restricted|不支持|不能|无效|未知",
    re.IGNORECASE,
)
UNKNOWN = re.compile(
    r"un(supported|recogni[sz]ed|known|expected) (\w+ ){0,2}(parameter|argument|field|key|name|property)"
    r"|extra (input|field)|extra_forbidden|support (the )?param|cannot find field|no longer supported|use '\w+' instead"
    r"|(parameter|argument|field|property)s? \S+ (is|are) (not|un)",
    re.IGNORECASE,
)
"""Words with which servers say that they do not know a parameter, whatever its value."""
# After these words come the names of what the server does accept, so the text from there on is ignored.
_INSTEAD = re.compile(
    r"expected (one of|fields?|parameters?)|(supported|valid|allowed|known) (parameters|fields|arguments|keys)",
    re.IGNORECASE,
)

ALL = 100
"""More steps than an option has forms."""


class Option(msgspec.Struct, frozen=True):
    """A part of a request that a server may refuse."""

    name: str
    words: re.Pattern[str]
    """Names of the option in refusals."""
    refusal: re.Pattern[str] = _REFUSAL
    """Words that make a message a refusal of the option."""
    by_name: bool = False
    """Whether a 4xx that names the option is a refusal of it, whatever its other words are."""
    by_value: bool = False
    """Whether all its forms are values of one parameter. A server that does not know the parameter refuses them all."""
    kept: bool = True
    """Whether its refusals say something of the model; otherwise they are of one request, and are not remembered."""


def form(steps: Steps, option: Option, forms: Sequence[T]) -> T:
    """The form of `option` to send: the first one, then the next after each refusal, and the last from then on."""
    return forms[min(steps.get(option.name, 0), len(forms) - 1)]


Efforts = dict[ReasoningEffort | None, Option]


def per_effort(words: str, *, by_value: bool = False, beside: str = "") -> Efforts:
    """One option per reasoning effort, since a model that refuses one effort may accept another. `beside` names what
    else is in the request, when a refusal says nothing of requests without it."""
    pattern = re.compile(words, re.IGNORECASE)
    efforts: tuple[ReasoningEffort | None, ...] = (None, *get_args(ReasoningEffort))
    return {
        effort: Option(f"reasoning {effort}{beside}", pattern, by_name=True, by_value=by_value) for effort in efforts
    }


class Dialect:
    """The refusals of one adapter's servers, by model."""

    def __init__(self, *options: Option) -> None:
        self._options = options
        self._passing = {option.name for option in options if not option.kept}
        self._steps: OrderedDict[str, Steps] = OrderedDict()

    def steps(self, model: str) -> Steps:
        """What `model` has refused so far."""
        steps = self._steps.get(model)
        if steps is None:
            return {}
        self._steps.move_to_end(model)
        return steps

    def keep(self, model: str, steps: Steps) -> None:
        """Remember `steps` for `model`, since it has answered a request that was built with them."""
        known = dict(self.steps(model))
        for name, step in ((name, step) for name, step in steps.items() if name not in self._passing):
            if step > known.get(name, 0):
                known[name] = step
                event("provider.parameter_refused", model=model, parameter=name)
        self._steps[model] = known
        if len(self._steps) > MODELS:
            self._steps.popitem(last=False)

    def conceded(
        self, error: ProviderError, steps: Steps, body: Body, build: Callable[[Steps], Body]
    ) -> tuple[Steps, Body] | None:
        """The steps and the body of a request without the part that `error` refuses. None: it names no part of `body`.

        `build` makes the body for some steps.
        """
        # OpenRouter answers 404 when no server of the model supports a parameter
        kinds = RequestRefused | ServerError | ModelNotFound
        if not isinstance(error, kinds) or isinstance(error, ContextTooLong):
            return None
        # llama.cpp refuses with a 500 what its templates do not accept; statuses above 501 are the server's own
        # problems
        if error.status is not None and error.status > 501:
            return None
        words = _INSTEAD.split(error.words, maxsplit=1)[0]
        named = [(found.start(), option) for option in self._options if (found := option.words.search(words))]
        for _, option in sorted(named, key=itemgetter(0)):
            enough = option.by_name and isinstance(error, RequestRefused)
            if not enough and not option.refusal.search(error.words):
                continue
            refusals = ALL if option.by_value and UNKNOWN.search(error.words) else steps.get(option.name, 0) + 1
            fewer = {**steps, option.name: refusals}
            if (changed := build(fewer)) != body:
                return fewer, changed
        return None

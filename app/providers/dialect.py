"""What the servers of one provider do not take: learnt when they refuse it by name, and kept for that model."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar, get_args

import msgspec

from app.errors import ContextTooLong, ProviderError, RequestRefused, ServerError
from app.observe import event
from app.values import ReasoningEffort

T = TypeVar("T")

MODELS = 1000
"""Models whose refusals are kept; beyond it the one that was asked least recently is forgotten."""

Steps = Mapping[str, int]
"""How often each option was refused, which says the form of it that is sent: see `form`."""
Body = dict[str, object]

_REFUSAL = re.compile(
    r"\bnot\b|n't\b|\bcannot\b|unsupported|unrecogni[sz]ed|unknown|unexpected|extra|forbidden|invalid|\bmust\b|\bshould\b"
    r"|\bonly\b|deprecated|removed|incompatible",
    re.IGNORECASE,
)
UNKNOWN = re.compile(
    r"un(supported|recogni[sz]ed|known|expected) (\w+ ){0,2}(parameter|argument|field|key|name|property)"
    r"|extra (input|field)|extra_forbidden|support (the )?param|cannot find field|no longer supported|use '\w+' instead"
    r"|(parameter|argument|field|property)s? \S+ (is|are) (not|un)",
    re.IGNORECASE,
)
"""How servers say that they do not know a parameter, whatever its value."""
# What follows are the names of what they do take.
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
    """How a refusal names it."""
    refusal: re.Pattern[str] = _REFUSAL
    """What a refusal says of it."""
    by_value: bool = False
    """Whether its forms are values of one parameter, which a server that does not know the parameter takes none of."""


def form(steps: Steps, option: Option, forms: Sequence[T]) -> T:
    """The form of `option` to send: the first at the beginning, the next after each refusal, then always the last."""
    return forms[min(steps.get(option.name, 0), len(forms) - 1)]


def per_effort(words: str, *, by_value: bool = False) -> dict[ReasoningEffort | None, Option]:
    """The options for reasoning: a model that refuses one effort may take another."""
    pattern = re.compile(words, re.IGNORECASE)
    efforts: tuple[ReasoningEffort | None, ...] = (None, *get_args(ReasoningEffort))
    return {effort: Option(f"reasoning {effort}", pattern, by_value=by_value) for effort in efforts}


class Dialect:
    """The refusals of one adapter's servers, by model."""

    def __init__(self, *options: Option) -> None:
        self._options = options
        self._steps: OrderedDict[str, Steps] = OrderedDict()

    def steps(self, model: str) -> Steps:
        """What `model` has refused so far."""
        steps = self._steps.get(model)
        if steps is None:
            return {}
        self._steps.move_to_end(model)
        return steps

    def keep(self, model: str, steps: Steps) -> None:
        """`model` answers what is sent with `steps`: ask it so from now on."""
        known = dict(self.steps(model))
        for name, step in steps.items():
            if step > known.get(name, 0):
                known[name] = step
                event("provider.parameter_refused", model=model, parameter=name)
        self._steps[model] = known
        if len(self._steps) > MODELS:
            self._steps.popitem(last=False)

    def conceded(
        self, error: ProviderError, steps: Steps, body: Body, build: Callable[[Steps], Body]
    ) -> tuple[Steps, Body] | None:
        """The request without what `error` refuses by name, and its steps. None: it names nothing that `body` has.

        `build` makes the body that goes with steps.
        """
        if not isinstance(error, RequestRefused | ServerError) or isinstance(error, ContextTooLong):
            return None
        # llama.cpp says with a 500 what its templates do not take; what is above that is trouble of the server's
        if error.status is not None and error.status > 501:
            return None
        words = _INSTEAD.split(error.words, maxsplit=1)[0]
        named = [(found.start(), option) for option in self._options if (found := option.words.search(words))]
        for _, option in sorted(named, key=itemgetter(0)):
            if not option.refusal.search(error.words):
                continue
            refusals = ALL if option.by_value and UNKNOWN.search(error.words) else steps.get(option.name, 0) + 1
            fewer = {**steps, option.name: refusals}
            if (changed := build(fewer)) != body:
                return fewer, changed
        return None

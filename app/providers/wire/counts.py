"""Counts: adds up the token counts of one reply, from events that have all of them, some of them, or zeros."""

from __future__ import annotations

from collections.abc import Mapping

from app.values import Usage

MOST_TOKENS = 1_000_000_000
"""Negative counts and counts above this are ignored, and the usage is estimated instead: the database would refuse such
a count, and the reply with it."""

Places = Mapping[str, tuple[tuple[str, ...], ...]]
"""The paths at which each count may be found. The first path with a value other than zero counts."""


def places(**paths: str) -> Places:
    """Make `Places` from texts such as `"details.cached cached"`: dots join names, blanks separate paths."""
    return {name: tuple(tuple(path.split(".")) for path in each.split()) for name, each in paths.items()}


class Counts:
    """The last value of each count, by name. A count that never came is 0."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, usage: dict[str, object], places: Places) -> None:
        """Store the counts that `usage` has."""
        for name, paths in places.items():
            for path in paths:
                value: object = usage
                for key in path:
                    value = value.get(key) if isinstance(value, dict) else None
                if value and (count := _count(value)):
                    self._counts[name] = count
                    break

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __getitem__(self, name: str) -> int:
        return self._counts.get(name, 0)

    def usage(self, *, beside: bool = False) -> Usage | None:
        """The usage of the reply. None: no count came.

        `read` (from a cache), `written` (into it) and `tools` are always added to `prompt`. `cached` and `reasoning`
        may be parts of `prompt` and `completion`, or may have to be added to them; `total` tells which. Without a
        `total`, `beside` says whether reasoning is added. In the result they are parts. A count of 0 means that none
        came.
        """
        prompt = sum(self[name] for name in ("prompt", "read", "written", "tools"))
        completion, reasoning, total = self["completion"], self["reasoning"], self["total"]
        cached = self["cached"] or self["read"]
        for more_prompt, more_completion in ((0, 0), (0, reasoning), (cached, 0), (cached, reasoning)):
            if total == prompt + more_prompt + completion + more_completion:
                break
        else:
            more_prompt = cached if cached > prompt else 0
            more_completion = reasoning if beside or reasoning > completion else 0
        prompt += more_prompt
        completion += more_completion
        missing = max(0, total - prompt - completion)
        if not prompt and completion:
            prompt = missing
        elif prompt:
            # Gemini's OpenAI-compatible API counts its reasoning only in the total
            reasoning = reasoning or (missing if completion else 0)
            completion += missing
        return Usage(prompt, completion, cached, reasoning) if prompt or completion else None


def _count(value: object) -> int | None:
    """`value` as a count. Some servers write counts as floating point numbers or as text."""
    if isinstance(value, str) and value.isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # false for infinity and NaN
    return int(value) if 0 <= value <= MOST_TOKENS else None

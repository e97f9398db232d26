"""Adds up the token counts of one reply, from events that may have all of them, some, or zeros."""

from __future__ import annotations

from collections.abc import Mapping

from app.values import Usage

MOST_TOKENS = 1_000_000_000
"""A count above this, or below nothing, is none, and what the reply took is estimated: stored with the reply, it would
have the database refuse both."""

Places = Mapping[str, tuple[tuple[str, ...], ...]]
"""Where each count may stand, as the names that lead to it; the first that is there and not zero is it."""


def places(**paths: str) -> Places:
    """Of paths such as `"total"` or `"details.cached cached"`: names joined by dots, places by blanks."""
    return {name: tuple(tuple(path.split(".")) for path in each.split()) for name, each in paths.items()}


class Counts:
    """Counts by name, each the last that was said. Zero is what nobody said."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, usage: dict[str, object], places: Places) -> None:
        """Take over the counts that `usage` has."""
        for name, paths in places.items():
            for path in paths:
                value: object = usage
                for key in path:
                    value = value.get(key) if isinstance(value, dict) else None
                if value and (count := _count(value)):
                    self._counts[name] = count
                    break

    def __getitem__(self, name: str) -> int:
        return self._counts.get(name, 0)

    def usage(self, *, beside: bool = False) -> Usage | None:
        """What the reply took. None: nobody said anything.

        Counts are `prompt`, with `read` (from a cache), `written` (into it) and `tools` beside it; `completion`,
        `reasoning` and `cached`, which may be parts of those two or beside them; and `total`, which tells. Where there
        is none, `beside` says it of reasoning. In the answer they are parts, and a count of 0 is one that nobody said.
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
            # Gemini behind OpenAI's wire counts its reasoning in the total and nowhere else
            reasoning = reasoning or (missing if completion else 0)
            completion += missing
        return Usage(prompt, completion, cached, reasoning) if prompt or completion else None


def _count(value: object) -> int | None:
    """`value` as a count: some languages know only floating point, and some servers write numbers as text."""
    if isinstance(value, str) and value.isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # of infinity and NaN neither is true
    return int(value) if 0 <= value <= MOST_TOKENS else None

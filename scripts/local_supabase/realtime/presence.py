"""Presence: who is present on a topic, and the messages about changes."""

from __future__ import annotations

import itertools
from typing import Any

Metas = dict[str, dict[str, list[dict[str, Any]]]]

_references = itertools.count(1)
# the keys of a meta that only the server sets
_OURS = ("phx_ref", "phx_ref_prev")


class Presence:
    """The presences of one topic: for each key, the state that each member has sent."""

    def __init__(self) -> None:
        self._metas: dict[str, dict[object, dict[str, Any]]] = {}

    @property
    def state(self) -> Metas:
        return {key: {"metas": list(metas.values())} for key, metas in self._metas.items()}

    def track(self, member: object, key: str, said: dict[str, Any]) -> dict[str, Metas] | None:
        """Store a member's state. Returns the difference; None when the state is the same as before."""
        metas = self._metas.setdefault(key, {})
        before = metas.get(member)
        if before is not None and {name: before[name] for name in before if name not in _OURS} == said:
            return None
        meta = {**said, "phx_ref": f"F{next(_references):07x}"}
        if before is not None:
            meta["phx_ref_prev"] = before["phx_ref"]
        metas[member] = meta
        leaves = {} if before is None else {key: {"metas": [before]}}
        return {"joins": {key: {"metas": [meta]}}, "leaves": leaves}

    def untrack(self, member: object, key: str) -> dict[str, Metas] | None:
        """Remove a member. Returns the difference; None when the member was not present."""
        metas = self._metas.get(key, {})
        meta = metas.pop(member, None)
        if not metas:
            self._metas.pop(key, None)
        return None if meta is None else {"joins": {}, "leaves": {key: {"metas": [meta]}}}

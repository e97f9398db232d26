"""Tool calls: joins the pieces of one reply's calls, in all the forms in which servers send them.

OpenAI numbers the calls by `index` and sends id and name once. Others number all calls of a reply 0 (Ollama's and
Gemini's OpenAI-compatible APIs), leave the index or the id out, send both with every piece, a new id with every piece
(vLLM with a named tool), the name again in the last piece, the arguments as an object, or the whole call at once.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from app.providers.call_ids import new_id, signed
from app.providers.turns import json_in
from app.values import ChatRequest, ToolCallDelta

MOST_CALLS = 256
"""The most calls of one reply that are read; further ones are ignored."""


AS_TEXT = -1
"""The index of a call whose arguments are the text of the reply."""


class Asked(msgspec.Struct, frozen=True):
    """What a request lets the model write beside text."""

    tools: bool = False
    """Whether its tool calls are read."""
    single: bool = False
    """Whether a reply may have only one. Not every server obeys, so the others are left out here."""
    as_text: str | None = None
    """The arguments of calls of this tool are the text of the reply."""
    as_call: str | None = None
    """The text of the reply is the arguments of a call of this tool."""


NOTHING = Asked()


def asked_of(request: ChatRequest) -> Asked:
    """What `request` lets the model write."""
    if not request.tools:
        return NOTHING
    return Asked(tools=True, single=request.parallel_tool_calls is False)


class Piece(msgspec.Struct):
    """A piece of a call, as the server sent it."""

    key: object = None
    """What tells the calls of a reply apart, if the format has it."""
    id: object = None
    name: object = None
    arguments: object = None
    signature: object = None
    whole: bool = False
    """Whether it is a call of its own, of which no other piece comes."""


class _Call:
    """One call of the reply."""

    __slots__ = ("arguments", "id", "index", "left_out", "name", "pending", "signature", "whole")

    def __init__(self, call_id: str | None, *, left_out: bool) -> None:
        self.id = call_id
        self.index: int | None = None
        """Its number in the reply; None before its first part is given."""
        self.name = ""
        self.signature = ""
        self.arguments: list[str] = []
        self.pending = ""
        """Arguments that are not given yet: before the first part, and half of a surrogate pair."""
        self.whole = False
        self.left_out = left_out

    @property
    def complete(self) -> bool:
        """Whether the arguments so far are complete."""
        if not any(piece.rstrip().endswith("}") for piece in self.arguments[-2:]):
            return False
        try:
            msgspec.json.decode("".join(self.arguments).encode(errors="replace"))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


Given = list[ToolCallDelta | str]
"""Parts of calls and, as `str`, of the text."""


class ToolCalls:
    """Reads the calls of one reply. The first part of a call waits until its name is complete: until there are
    arguments, another call or the end."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._calls: list[_Call] = []
        self._by_key: dict[str, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._ids: set[str] = set()
        self._given = 0

    @property
    def any(self) -> bool:
        """Whether the reply has calls that the client gets."""
        return any(call.name not in ("", self._asked.as_text) and not call.left_out for call in self._calls)

    def read(self, piece: Piece) -> Given:
        """The parts that `piece` completes."""
        call, new = self._call_of(piece)
        if call is None or call.left_out:
            return []
        repeated = not new and isinstance(piece.name, str) and bool(call.name and piece.name)
        if isinstance(piece.name, str) and piece.name:
            self._name(call, piece.name)
        if isinstance(piece.signature, str):
            call.signature = call.signature or piece.signature
        call.whole = call.whole or piece.whole
        if call.id is None and isinstance(piece.id, str):
            call.id = piece.id or None
        arguments = _text(piece.arguments)
        if repeated and arguments and call.complete:
            arguments = ""
        if arguments and call.pending.strip() == "{}" and call.index is None:
            # a placeholder before the arguments themselves
            call.pending = ""
            call.arguments.clear()
        call.arguments.append(arguments)
        call.pending += arguments
        given: Given = []
        if call.name and (call.whole or call.pending.strip() not in ("", "{}") or call.index is not None):
            self._begin(given, call)
        return given

    def end(self, *, cut: bool = False) -> Given:
        """The rest of all calls. A call without arguments gets `{}`, unless the reply was `cut` off."""
        given: Given = []
        for call in self._calls:
            if not call.name or call.left_out:
                continue
            if not cut and not "".join(call.arguments).strip():
                call.pending = "{}"
            if call.index is None or call.pending:
                self._begin(given, call, last=True)
        return given

    def _call_of(self, piece: Piece) -> tuple[_Call | None, bool]:
        """The call that `piece` belongs to, and whether it is a new one."""
        call_id = piece.id if isinstance(piece.id, str) and piece.id else None
        name = piece.name if isinstance(piece.name, str) and piece.name else None
        key = None if piece.key is None or piece.whole else str(piece.key)
        last = self._calls[-1] if self._calls else None
        call: _Call | None
        if piece.whole:
            call = None
        elif key is not None:
            call = self._by_key.get(key)
        elif call_id is not None:
            call = self._by_id.get(call_id) or (None if name else last)
        else:
            call = last
        if call is not None and name and self._begins_another(call, call_id, name, piece.arguments, keyed=bool(key)):
            call = None
        if call is not None:
            return call, False
        if len(self._calls) >= MOST_CALLS:
            return None, True
        call = _Call(call_id, left_out=self._asked.single and bool(self._calls))
        self._calls.append(call)
        if key is not None:
            self._by_key[key] = call
        if call_id is not None:
            self._by_id[call_id] = call
        return call, True

    def _begins_another(self, call: _Call, call_id: str | None, name: str, arguments: object, *, keyed: bool) -> bool:
        """Whether a piece with a name, which seems to be of `call`, begins another one."""
        if not call.name or (call_id is not None and call_id == call.id):
            return False
        if call.complete:
            # with neither an id nor arguments it only says the name again
            return call_id is not None or bool(_text(arguments))
        # a name may come in pieces, but not after the arguments have begun
        begun = bool("".join(call.arguments).strip())
        if call_id is not None and call.id is not None:
            return name != call.name
        return name != call.name and (begun or not keyed)

    def _name(self, call: _Call, name: str) -> None:
        if call.index is not None or name == call.name:
            return
        call.name = name if name.startswith(call.name) else call.name + name

    def _begin(self, given: Given, call: _Call, *, last: bool = False) -> None:
        """Give what is pending of `call`; before its first part, those of the calls before it."""
        arguments, call.pending = call.pending, ""
        if arguments and not last and "\ud800" <= arguments[-1] <= "\udbff":
            arguments, call.pending = arguments[:-1], arguments[-1]
        arguments = arguments.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if call.name == self._asked.as_text:
            call.index = AS_TEXT
            given.append(arguments)
            return
        if call.index is not None:
            if arguments:
                given.append(ToolCallDelta(call.index, None, None, arguments))
            return
        for before in self._calls:
            if before is call:
                break
            if before.index is None and before.name and not before.left_out:
                self._begin(given, before)
        call.index, self._given = self._given, self._given + 1
        call_id = call.id if call.id and call.id not in self._ids else new_id()
        self._ids.add(call_id)
        call_id = signed(call_id, call.signature) if call.signature else call_id
        given.append(ToolCallDelta(call.index, call_id, call.name, arguments))


def _text(arguments: Any) -> str:
    """Arguments as JSON text."""
    if isinstance(arguments, str):
        return arguments
    if isinstance(arguments, msgspec.Raw):
        written = bytes(arguments).decode(errors="replace")
        # an object stays as it is written; anything else is text, or none
        return written if written.startswith("{") else _text(json_in(written))
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)

"""Base of the providers' decoders: joins the text and the reasoning of one read, then gives a failure or the finish."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, Generic, Protocol, TypeVar

import msgspec

from app.errors import BrokenStream, ContentFiltered, EmptyReply, ProviderError, ServerError
from app.observe import event as observed
from app.providers.failures import failure as failed
from app.providers.wire.calls import NOTHING, Asked, Given, Piece, ToolCalls
from app.providers.wire.counts import Counts, Places
from app.providers.wire.opening import Opening
from app.providers.wire.parts import parts_of
from app.providers.wire.reasons import KNOWN, NONE, Meaning, likely, normal
from app.providers.wire.tolerant import DONE, documents, fitted
from app.values import Alive, Delta, Finish, FinishReason, ProviderName, Reasoning, ToolCallDelta, Usage

T = TypeVar("T")

ALIVE = Alive()
_LIFE = (ALIVE,)
_WORD = re.compile(rb"\[[A-Za-z _-]+\]")  # `[PING]`
REASON_LIMIT = 60
"""Characters of the name of an unknown reason in the error."""


class Framing(Protocol):
    """Cuts bytes into payloads, see `framing`."""

    def feed(self, data: bytes) -> list[bytes]: ...

    def end(self) -> list[bytes]: ...


class Decoder(Generic[T]):
    """Decodes the stream of one reply, read by read. A subclass defines the type of an event (`T`) and `_take`.

    `_take` passes text to `_say`, reasoning to `_think`, pieces of tool calls to `_call`, the reason to finish to
    `_stop` and usage to `_count`, and sets `_ended` at the format's own last event. It raises a `ProviderError` when
    the provider reports one; the text before it is given first. Only the text, the calls, the reason and errors are
    read strictly: other fields of an unexpected shape count as absent, and unknown events are ignored.
    """

    provider: ClassVar[ProviderName]
    events: msgspec.json.Decoder[T]
    """The decoder of one event: a struct whose fields all have defaults."""
    reasoning_beside: ClassVar[bool] = False
    """Whether the provider's count of the completion leaves out the reasoning."""
    counted: ClassVar[Places]
    """The places of the counts in the provider's usage."""

    def __init__(self, model: str, framing: Framing, asked: Asked = NOTHING) -> None:
        """Tool calls are read if they were `asked` for, and otherwise ignored."""
        self.model = model
        self.finished = False
        """Whether the `Finish` has been given. What comes after it is ignored."""
        self._framing = framing
        self._counts = Counts()
        self._last_usage: dict[str, object] = {}
        """The latest usage, not yet added to `_counts`."""
        self._calls = ToolCalls(asked) if asked != NOTHING else None
        self._given: list[Delta | Reasoning | ToolCallDelta] = []
        self._run: list[str] = []
        """Pieces to be joined: of the reasoning if `_thinking`, else of the text."""
        self._thinking = False
        self._plain = True
        """Whether the last thing read was text, not reasoning or a reason to finish."""
        self._simple = False
        """Whether, in addition, each read can be given as one `Delta` without further checks."""
        self._opening: Opening | None = Opening()
        self._held = ""
        self._halves = False
        self._said = False
        self._reason: FinishReason | None = None
        self._whole = False
        """Whether a reason to finish has come and no text after it."""
        self._early = False
        """Whether the reason to finish came before any text."""
        self._ended = False

    def feed(self, data: bytes) -> Iterable[Delta | Reasoning | ToolCallDelta | Alive | Finish]:
        """The items of one read: text, reasoning and tool calls in order, neighbours of one kind joined, then the
        finish. A failure is raised as `ProviderError` after them. An `Alive` if the read has none of these."""
        try:
            self._take_all(self._framing.feed(data))
        except ProviderError as exc:
            return self._give(exc)
        if not self._simple or self._ended:
            return self._give(None, alive=bool(data))
        # the fast path, which nearly every read takes
        if not self._run:
            return _LIFE if data else ()
        text = "".join(self._run)
        self._run.clear()
        return (Delta(text),)

    def eof(self) -> Iterable[Delta | Reasoning | ToolCallDelta | Alive | Finish]:
        """The items at the end of the stream: the rest, then the finish. Raises `BrokenStream` without a reason."""
        failure: ProviderError | None = None
        try:
            self._take_all(self._framing.end())
        except ProviderError as exc:
            failure = exc
        if not self._ended:
            self._flush()
            # A reason that came before all text did not end the reply, and no other reason came.
            if self._early and self._said:
                self._reason = None
            self._ended = True
        return self._give(failure)

    @property
    def complete(self) -> bool:
        """Whether a reason to finish has been read and no text after it: if the connection is lost now, no text is."""
        return self._whole and (self._said or self._reason != "stop")

    def counted_so_far(self) -> Usage | None:
        """What the provider has said by now of the tokens; None when it has said nothing."""
        return self._usage()

    def _take(self, event: T) -> None:
        raise NotImplementedError

    def _take_all(self, payloads: list[bytes]) -> None:
        decode = self.events.decode
        for payload in payloads:
            if self._ended:
                return
            try:
                try:
                    event = decode(payload)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    self._take_other(payload.strip())
                else:
                    self._take(event)
            except (ProviderError, RecursionError) as exc:
                # after the reason to finish, an error can only cost the usage
                if self.complete:
                    continue
                if isinstance(exc, ProviderError):
                    raise
                raise self._broken("an event is nested too deeply") from exc

    def _take_other(self, payload: bytes) -> None:
        """Read a payload that msgspec refuses. There are three kinds:

        Half of a surrogate pair (https://www.rfc-editor.org/rfc/rfc8259#section-8.2): a server that cuts text by UTF-16
        units sends an emoji as two halves in two events, which `_mended` joins. A field of an unexpected type, which
        then counts as absent. And payloads that are not one event: `[DONE]`, words, several events at once, or a list
        of events, as Gemini sends them without `alt=sse`.
        """
        while payload.startswith(b"data:"):  # some servers write the field name twice
            payload = payload[5:].strip()
        if payload.strip(b'"').upper() in (b"[DONE]", b"DONE"):
            self._ended = True
        elif payload.startswith((b"{", b"[")) and not _WORD.fullmatch(payload):
            try:
                values = documents(payload)
            except (ValueError, RecursionError) as exc:
                raise self._broken("an event is not JSON") from exc
            self._halves, self._simple = True, False
            for value in values:
                if value is DONE:
                    self._ended = True
                    return
                for event in value if isinstance(value, list) else [value]:
                    if isinstance(event, dict):
                        self._take(fitted(event, self.events.type))

    def _say(self, text: object) -> None:
        """Read text of the reply, or a message's content of any other shape. Must not be empty."""
        if self._plain and text.__class__ is str:
            self._run.append(text)
        else:
            self._say_parts(text)

    def _say_parts(self, content: object) -> None:
        try:
            for thought, text in parts_of(content):
                if thought:
                    self._think(text)
                    continue
                if self._thinking:
                    self._turn()
                self._run.append(text)
                if self._whole and not text.isspace():
                    self._whole = False
        except ValueError as exc:
            raise self._broken(str(exc)) from exc
        self._plain = not self._thinking and not self._whole

    def _think(self, text: str) -> None:
        """Read reasoning, which may be empty."""
        if not text:
            return
        if not self._thinking:
            self._turn()
        self._run.append(text)
        self._whole = self._plain = self._simple = False

    def _call(self, piece: Piece) -> None:
        """Read a piece of a tool call."""
        if self._calls is None:
            return
        self._take_calls(self._calls.read(piece))
        self._said = True
        self._whole = self._plain = self._simple = False

    def _take_calls(self, parts: Given) -> None:
        """Put the parts after what was said before them."""
        for part in parts:
            if isinstance(part, str):
                self._say_parts(part)
                continue
            self._flush(last=True)
            if self._opening is not None:
                self._read_opening(self._opening.end())
                self._opening = None
            before = self._given[-1] if self._given else None
            if part.id is None and isinstance(before, ToolCallDelta) and before.index == part.index:
                self._given[-1] = ToolCallDelta(before.index, before.id, before.name, before.arguments + part.arguments)
            else:
                self._given.append(part)

    def _stop(self, name: object) -> None:
        """Read the reason to finish; names that mean none are ignored."""
        if isinstance(name, dict):  # SGLang's own form
            name = name.get("type")
        if not name:
            return
        meaning = KNOWN.get(name) if isinstance(name, str) else None
        if meaning is None:
            known = normal(name) if isinstance(name, str) else type(name).__name__
            if known in NONE:
                return
            meaning = KNOWN.get(known) or self._unknown(known)
        if meaning == "failed" or meaning == "nothing":
            kind = ServerError if meaning == "failed" else EmptyReply
            raise failed(kind, f"finish reason {name}", provider=self.provider, model=self.model)
        self._flush()
        # When a provider names several reasons, the last is not always right: a filter stays, and a limit is replaced
        # only if more text has come since.
        if (
            self._reason in (None, "stop")
            or meaning == "content_filter"
            or (self._reason == "length" and not self._whole)
        ):
            self._reason = meaning
        self._whole = True
        self._plain = self._simple = False
        self._early = not self._said

    def _unknown(self, name: str) -> Meaning:
        """The likely meaning of an unknown reason. Raises `BrokenStream` when its name gives no hint."""
        meaning, word = likely(name) or (None, None)
        # the name itself is the provider's own text, which may quote what it was sent
        observed(
            "provider.unknown_finish",
            provider=self.provider,
            model=self.model,
            word=word,
            taken_as=meaning,
        )
        if meaning is None:
            raise self._broken(f"finish reason {name}"[:REASON_LIMIT])
        return meaning

    def _count(self, usage: object) -> None:
        """Read the usage of an event: the counts so far, which may be complete, partial, or zeros."""
        if not isinstance(usage, dict):
            return
        # Some servers send the usage with every token. If this one has the same counts as the last, it replaces it;
        # otherwise the last one is added first.
        if usage.keys() != self._last_usage.keys() or not all(usage.values()):
            self._counts.take(self._last_usage, self.counted)
        self._last_usage = usage

    def _turn(self) -> None:
        self._flush(last=True)
        self._thinking = not self._thinking

    def _flush(self, *, last: bool = False) -> None:
        """Move the pieces of `_run` to `_given`. `last`: the next piece is of another kind, or there is none."""
        if not self._run and not self._held:
            return
        text = "".join(self._run)
        self._run.clear()
        if self._halves:
            text = self._mended(text, last=last)
        if not text:
            return
        if self._thinking:
            self._join(Reasoning(text))
        elif self._opening is None:
            self._said = True
            self._join(Delta(text))
        else:
            self._read_opening(self._opening.read(text))

    def _read_opening(self, pieces: list[Delta | Reasoning]) -> None:
        for piece in pieces:
            self._said = self._said or isinstance(piece, Delta)
            self._join(piece)
        if self._opening is not None and self._opening.over:
            self._opening = None

    def _join(self, piece: Delta | Reasoning) -> None:
        before = self._given[-1] if self._given else None
        if isinstance(before, Delta | Reasoning) and before.__class__ is piece.__class__:
            self._given.pop()
            piece = piece.__class__(before.text + piece.text)
        self._given.append(piece)

    def _give(
        self, failure: ProviderError | None, *, alive: bool = False
    ) -> Iterator[Delta | Reasoning | ToolCallDelta | Alive | Finish]:
        over = self._ended or failure is not None
        self._flush(last=over)
        if over and self._opening is not None:
            self._read_opening(self._opening.end())
        if self._ended and failure is None and not self.finished and self._calls is not None:
            self._take_calls(self._calls.end(cut=self._reason != "stop"))
            self._flush(last=True)
        if self._given:
            yield from self._given
            self._given.clear()
        elif alive and not over:
            yield ALIVE
        self._simple = self._plain and not self._halves and self._opening is None
        if failure is not None:
            raise failure
        if self._ended and not self.finished:
            self.finished = True
            yield self._finish()

    def _finish(self) -> Finish:
        if self._reason is None:
            raise self._broken("the stream ended without a reason to finish")
        if self._reason == "content_filter":
            filtered = ContentFiltered("the provider filtered the reply", provider=self.provider, model=self.model)
            filtered.usage = self._usage()
            raise filtered
        # some servers say `stop` after tool calls
        calls = self._reason == "stop" and self._calls is not None and self._calls.any
        return Finish("tool_calls" if calls else self._reason, self._usage())

    def _usage(self) -> Usage | None:
        if not self._last_usage and not self._counts:
            return None
        self._counts.take(self._last_usage, self.counted)
        return self._counts.usage(beside=self.reasoning_beside)

    def _broken(self, message: str) -> BrokenStream:
        return BrokenStream(message, provider=self.provider, model=self.model)

    def _mended(self, text: str, *, last: bool) -> str:
        text = self._held + text
        self._held = ""
        if not last and text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

"""What the four decoders share: text of one read joined into one delta, failures after it, the finish last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar, Protocol, TypeVar

import msgspec

from app.errors import BrokenStream, ContentFiltered, ProviderError
from app.messages import Delta, Finish, FinishReason, ProviderName, Usage
from app.providers.wire.framing import EventTooLarge

T = TypeVar("T")

MOST_TOKENS = 1_000_000_000
"""A count above this, or below nothing, is none, and what the reply took is estimated: stored with the reply, it would
have the database refuse both."""


class Framing(Protocol):
    """Cuts bytes into payloads, see `framing`."""

    def feed(self, data: bytes) -> list[bytes]: ...

    def end(self) -> list[bytes]: ...


class Decoder:
    """Decodes the stream of one reply, read by read. A subclass reads one payload in `_take`.

    `_take` appends text to `_texts`, keeps `_reason` and `_usage`, and sets `_ended` at the format's own last event.
    It raises a `ProviderError` when the provider reports one; the text before it is given out first.
    """

    provider: ClassVar[ProviderName]

    def __init__(self, model: str, framing: Framing) -> None:
        self.model = model
        self.finished = False
        """Whether the `Finish` has been given out: whatever comes after it does not matter."""
        self._framing = framing
        self._texts: list[str] = []
        self._held = ""
        self._halves = False
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[Delta | Finish]:
        """What one read brings: at most one delta, then the finish or the failure, raised as `ProviderError`."""
        failure: ProviderError | None = None
        try:
            self._take_all(self._framing.feed(data))
        except ProviderError as exc:
            failure = exc
        except EventTooLarge as exc:
            failure = self._broken("an event is too large")
            failure.__cause__ = exc
        return self._give(failure)

    def eof(self) -> Iterator[Delta | Finish]:
        """The end of the stream: what was still unread, then the finish. `BrokenStream` if none can be given."""
        failure: ProviderError | None = None
        try:
            self._take_all(self._framing.end())
        except ProviderError as exc:
            # half an event after the reason to finish costs its usage at most; before it, the reply
            failure = None if self._reason and isinstance(exc, BrokenStream) else exc
        self._ended = True
        return self._give(failure)

    @property
    def complete(self) -> bool:
        """Whether the reason to finish has been read, so that a connection lost now loses no text."""
        return self._reason is not None

    def _take(self, payload: bytes) -> None:
        raise NotImplementedError

    def _take_all(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            if self._ended:
                return
            self._take(payload)

    def _give(self, failure: ProviderError | None) -> Iterator[Delta | Finish]:
        if self._texts or (self._held and self._ended):
            text = "".join(self._texts)
            self._texts.clear()
            if self._halves:
                text = self._mended(text)
            if text:
                yield Delta(text)
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
            filtered.usage = self._counted()
            raise filtered
        return Finish(self._reason, self._counted())

    def _counted(self) -> Usage | None:
        usage = self._usage
        if usage is None:
            return None
        counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        return usage if all(0 <= count <= MOST_TOKENS for count in counts) else None

    def _broken(self, message: str) -> BrokenStream:
        return BrokenStream(message, provider=self.provider, model=self.model)

    def _decoded(self, decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
        try:
            return decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._leniently(decoder, payload)
        except RecursionError as exc:
            raise self._broken("an event is nested too deeply") from exc

    def _leniently(self, decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
        """Decode JSON that is right and that msgspec refuses.

        That is half of a surrogate pair (https://www.rfc-editor.org/rfc/rfc8259#section-8.2): a server that cuts text
        by UTF-16 units sends an emoji as two halves in two events, which `_mended` joins. And it is a count written
        as `11.0` by a server whose language knows only one kind of number.
        """
        try:
            value = msgspec.convert(json.loads(payload), decoder.type, strict=False)
        except msgspec.ValidationError as exc:
            raise self._broken(f"an event has an unknown shape: {exc}") from exc
        except (ValueError, RecursionError) as exc:
            raise self._broken("an event is not JSON") from exc
        self._halves = True
        return value

    def _mended(self, text: str) -> str:
        text = self._held + text
        self._held = ""
        if not self._ended and text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

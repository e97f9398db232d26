"""A reply as the AI SDK's UI message stream, always from its beginning: what `useChat` reads.

A stream begins with `start` and the reply's id, so a reader that comes back replaces what it has. It ends with `finish`
where the reply is whole or was stopped, else with `error`: without either, `useChat` takes what came for the whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

import msgspec

from app.api.reply_stream import MAX_FRAME_CHARACTERS, ReplyStream
from app.api.sse import encoded
from app.api.ui_chunks import (
    REASONING,
    TEXT,
    ErrorChunk,
    FinishChunk,
    MetadataChunk,
    ReasoningEndChunk,
    ReasoningStartChunk,
    ResetStepChunk,
    SourceChunk,
    SourceDetails,
    SourceMetadata,
    StartChunk,
    TextEndChunk,
    TextStartChunk,
    TitleChunk,
    TitleData,
    UIMessageChunk,
    UIMetadata,
)
from app.chat.live import Follower, Followers, Reply
from app.errors import Draining, Interrupted
from app.values import Done, Ending, Failed, Preamble, Problem, ReplyUsage, Source, Sources, Started, Stopped

TITLE_SECONDS = 2.0
"""How long the end of the first reply waits for the conversation's title; a later title comes with the next reply."""

FIXED_HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
_DONE = b"data: [DONE]\n\n"
_FINISH_REASONS = {"stop": "stop", "length": "length", "content_filter": "content-filter"}

Title = Callable[[], Awaitable[str | None]]
"""Waits for the title that the conversation is being given."""


def words(problem: Problem) -> str:
    """A problem as one short text for a person."""
    return problem.title if problem.detail is msgspec.UNSET else problem.detail


def source_metadata(source: Source) -> SourceMetadata:
    return SourceMetadata(SourceDetails(source.document_id, source.similarity, source.excerpt))


def _frame(chunk: UIMessageChunk) -> bytes:
    return b"data: %s\n\n" % encoded(chunk)


_TEXT_START, _TEXT_END = _frame(TextStartChunk()), _frame(TextEndChunk())
_REASONING_START, _REASONING_END = _frame(ReasoningStartChunk()), _frame(ReasoningEndChunk())


class _Deltas:
    """The newest text and reasoning of one reply as chunks, encoded once for all readers that are up to date."""

    __slots__ = ("_reasoning", "_reasoning_end", "_reasoning_start", "_text", "_text_end", "_text_start")

    def __init__(self) -> None:
        self._text_start = self._text_end = self._reasoning_start = self._reasoning_end = 0
        self._text = self._reasoning = b""

    def text(self, follower: Follower) -> bytes:
        """The next text of `follower`."""
        start = follower.offset
        end = follower.take_text(MAX_FRAME_CHARACTERS)
        if start != self._text_start or end != self._text_end:
            text = follower.reply.text(start)[: end - start]
            self._text = b'data: {"type":"text-delta","id":"%s","delta":%s}\n\n' % (TEXT.encode(), encoded(text))
            self._text_start, self._text_end = start, end
        return self._text

    def reasoning(self, follower: Follower) -> bytes:
        """The next reasoning of `follower`."""
        start = follower.reasoned
        text = follower.take_reasoning(MAX_FRAME_CHARACTERS)
        end = follower.reasoned
        if start != self._reasoning_start or end != self._reasoning_end:
            self._reasoning = b'data: {"type":"reasoning-delta","id":"%s","delta":%s}\n\n' % (
                REASONING.encode(),
                encoded(text),
            )
            self._reasoning_start, self._reasoning_end = start, end
        return self._reasoning


_deltas: WeakKeyDictionary[Reply, _Deltas] = WeakKeyDictionary()


class UIReader:
    """What one follower is sent."""

    trails = True

    __slots__ = ("_deltas", "_draining", "_leaving", "_made", "_resets", "_thinking", "_title", "_writing")

    def __init__(
        self, reply: Reply, *, title: str | None, made: Title, draining: Callable[[], bool], resets: bool
    ) -> None:
        self._deltas = _deltas.setdefault(reply, _Deltas())
        self._title = title
        self._made = made
        self._draining = draining
        self._resets = resets
        self._leaving = False
        """It was told to go on elsewhere, so whatever becomes of the reply now is not told here."""
        self._thinking = False
        """Its reasoning part is open."""
        self._writing = False
        """Its text part is open."""

    def news(self, follower: Follower) -> bytes:
        """Everything that the follower has not been sent yet."""
        reply = follower.reply
        news = b""
        if follower.announced < len(reply.preamble):
            news = b"".join(self._announced(reply, event) for _, event in follower.take_announced())
        if follower.reasoned < reply.reasoned:
            if not self._thinking:
                self._thinking = True
                news += _REASONING_START
            news += self._deltas.reasoning(follower)
            if follower.reasoned < reply.reasoned:  # the rest of it comes before the text
                return news
        if follower.offset < reply.length:
            if self._thinking:
                self._thinking = False
                news += _REASONING_END
            if not self._writing:
                self._writing = True
                news += _TEXT_START
            text = self._deltas.text(follower)
            return news + text if news else text
        return news

    def _announced(self, reply: Reply, event: Preamble) -> bytes:
        if isinstance(event, Started):
            metadata = UIMetadata(
                conversation_id=event.conversation_id,
                user_message_id=event.user_message_id or msgspec.UNSET,
                provider=event.provider or msgspec.UNSET,
                model=event.model or msgspec.UNSET,
                status="streaming",
            )
            start = _frame(StartChunk(reply.id, metadata))
            return start if self._title is None else start + _frame(TitleChunk(TitleData(self._title), transient=True))
        if isinstance(event, Sources):
            return _sources(event)
        # nothing that was sent is void: the text had not begun, and what the model before has thought stays
        return _metadata(UIMetadata(provider=event.provider, model=event.model, restart=event.reason))

    def ended(self, follower: Follower, ending: Ending) -> bytes:
        """The end of the parts, and the metadata of the whole reply; after a failure also its error."""
        parts = self._closed()
        if isinstance(ending, Done):
            return parts + _metadata(
                _final(
                    ending,
                    ending.status,
                    ending.usage,
                    finish_reason=ending.finish_reason or msgspec.UNSET,
                    provider=ending.provider or msgspec.UNSET,
                    model=ending.model or msgspec.UNSET,
                )
            )
        if isinstance(ending, Stopped):
            return parts + _metadata(_final(ending, "stopped", ending.usage))
        if self._resets and follower.offset > ending.length:
            parts = _void(follower.reply, ending.length)
        metadata = _final(ending, ending.status, None, problem=ending.problem)
        return parts + _metadata(metadata) + _frame(ErrorChunk(words(ending.problem)))

    def elsewhere(self, follower: Follower) -> bytes:
        """An error that says how to go on. The parts stay open, as the reply does."""
        self._leaving = True
        error = Draining if self._draining() else Interrupted
        problem = error(
            "This server cannot go on sending the reply, which is still being written. Resume it."
        ).problem()
        return _metadata(UIMetadata(resume=True, problem=problem)) + _frame(ErrorChunk(words(problem)))

    async def after(self, follower: Follower) -> bytes:
        ending = follower.reply.ending
        if self._leaving or ending is None or isinstance(ending, Failed):
            return _DONE
        title = await self._made() if isinstance(ending, Done) else None
        reason = _FINISH_REASONS.get(ending.finish_reason or "", "other") if isinstance(ending, Done) else "other"
        frames = b"" if title is None else _frame(TitleChunk(TitleData(title), id="title"))
        return frames + _frame(FinishChunk(reason)) + _DONE  # type: ignore[arg-type]  # one of its words

    def _closed(self) -> bytes:
        thinking, writing = self._thinking, self._writing
        self._thinking = self._writing = False
        return (_REASONING_END if thinking else b"") + (_TEXT_END if writing else b"")


def _final(ending: Ending, status: str, usage: ReplyUsage | None, **further: object) -> UIMetadata:
    cost = usage.cost_micro_usd if usage is not None else None
    return UIMetadata(
        status=status,  # type: ignore[arg-type]  # a reply's
        usage=msgspec.UNSET if usage is None else usage,
        cost_micro_usd=msgspec.UNSET if cost is None else cost,
        length=ending.length,
        reasoning_ms=msgspec.UNSET if ending.reasoning_ms is None else ending.reasoning_ms,
        **further,  # type: ignore[arg-type]
    )


def _metadata(metadata: UIMetadata) -> bytes:
    return _frame(MetadataChunk(metadata))


def _sources(sources: Sources) -> bytes:
    frames = b"".join(
        _frame(SourceChunk(source.id, "text/plain", source.title, source_metadata(source))) for source in sources.items
    )
    return frames if sources.error is None else frames + _metadata(UIMetadata(sources_error=sources.error))


def _void(reply: Reply, length: int) -> bytes:
    """In place of a text that was taken back, in whole or in part: what there is."""
    frames = _frame(ResetStepChunk())
    frames += b"".join(_sources(event) for event in reply.preamble if isinstance(event, Sources))
    for kind, text in ((REASONING, reply.reasoning()), (TEXT, reply.text()[:length])):
        if text:
            delta = b'data: {"type":"%s-delta","id":"%s","delta":%s}\n\n' % (
                kind.encode(),
                kind.encode(),
                encoded(text),
            )
            starts = (_REASONING_START, _REASONING_END) if kind == REASONING else (_TEXT_START, _TEXT_END)
            frames += starts[0] + delta + starts[1]
    return frames


class UIStream(ReplyStream):
    """The chunks of `reply` for one reader."""

    def __init__(
        self,
        followers: Followers,
        reply: Reply,
        *,
        title: str | None,
        made: Title,
        resets: bool,
        headers: dict[str, str] | None = None,
    ) -> None:
        """`title` is what the conversation is called already, `made` waits for the title that it is being given.
        `resets`: the reader knows `reset-step`."""
        follower = followers.follow(reply)
        reader = UIReader(reply, title=title, made=made, draining=lambda: followers.draining, resets=resets)
        super().__init__(followers, follower, reader, headers=FIXED_HEADERS | (headers or {}))

"""The answer to a chat completion: as server-sent events while it is written, or whole."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.types import Receive, Scope, Send

from app.api.completions.errors import error_answer, error_body, limit_headers
from app.api.completions.views import (
    ChatCompletion,
    ChoiceView,
    CompletionMessageView,
    CompletionUsage,
    ToolCallPart,
    tool_calls_of,
)
from app.api.reply_stream import HEADERS, MAX_FRAME_CHARACTERS, Writing, disconnected
from app.api.sse import encoded
from app.chat.completion import CompletionWriter
from app.chat.endings import Cut
from app.chat.live import Followers
from app.errors import AppError, Interrupted
from app.line import Line
from app.values import Done, FinishReason

BEGIN_SECONDS = 10.0
"""How long a stream waits for something to send before it begins: until then a failure is answered with its status."""
DONE = b"data: [DONE]\n\n"


class Frames:
    """The events of one completion. They are put together by hand, as one is made for every token."""

    __slots__ = ("_begin", "_delta", "_end", "_id", "_model", "_usage")

    def __init__(self, id: str, created: int, *, usage: bool) -> None:
        """`usage`: the last chunk tells it, and the others say that it is null."""
        self._id = b'data: {"id":%s,"object":"chat.completion.chunk","created":%d' % (encoded(id), created)
        self._usage = usage
        self._end = b',"usage":null}\n\n' if usage else b"}\n\n"
        self._delta = b',"finish_reason":null}]' + self._end
        self._model: str | None = None
        self._begin = b""

    def _of(self, model: str | None) -> bytes:
        if model != self._model or not self._begin:
            self._model = model
            self._begin = b'%s,"model":%s,"choices":[{"index":0,"delta":' % (self._id, encoded(model or ""))
        return self._begin

    def role(self, model: str | None) -> bytes:
        return self._of(model) + b'{"role":"assistant","content":""}' + self._delta

    def text(self, model: str | None, text: str) -> bytes:
        return b'%s{"content":%s}%s' % (self._of(model), encoded(text), self._delta)

    def reasoning(self, model: str | None, text: str) -> bytes:
        said = encoded(text)
        return b'%s{"reasoning":%s,"reasoning_content":%s}%s' % (self._of(model), said, said, self._delta)

    def call(self, model: str | None, part: ToolCallPart) -> bytes:
        return b'%s{"tool_calls":[%s]}%s' % (self._of(model), encoded(part), self._delta)

    def alive(self, model: str | None) -> bytes:
        """A chunk with nothing new, for a silence: not all clients know the comments of event streams."""
        return self._of(model) + b"{}" + self._delta

    def end(self, model: str | None, reason: FinishReason, usage: CompletionUsage) -> bytes:
        last = b'%s{},"finish_reason":"%s"}]%s' % (self._of(model), reason.encode(), self._end)
        if self._usage:
            last += b'%s,"model":%s,"choices":[],"usage":%s}\n\n' % (self._id, encoded(model or ""), encoded(usage))
        return last + DONE

    @staticmethod
    def error(error: AppError) -> bytes:
        return b"data: %s\n\n%s" % (encoded(error_body(error)), DONE)


class CompletionAnswer(Response[None]):
    """Follows a completion for its one reader. A reader that goes ends it."""

    def __init__(
        self, followers: Followers, completion: CompletionWriter, *, stream: bool, usage: bool, **options: Any
    ) -> None:
        """`stream`: in events, which tell the usage at the end if `usage` is set."""
        super().__init__(None, **options)
        self._followers = followers
        self._completion = completion
        self._follower = followers.follow(completion.reply)
        self._created = int(time.time())
        self._stream = stream
        self._frames = Frames(self._id, self._created, usage=usage)
        self._begun = False
        self._called = 0
        """How many parts of tool calls were sent."""

    @property
    def _id(self) -> str:
        return f"chatcmpl-{self._completion.reply.id.replace('-', '')}"

    def to_asgi_response(self, request: Request[Any, Any, Any], **_: Any) -> Any:  # type: ignore[override]
        return self._respond

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        follower = self._follower
        line: Line = scope["parley.line"]  # type: ignore[typeddict-item]  # our server's, see app/line.py
        leaving = asyncio.create_task(self._leave_with(receive))
        try:
            if not self._stream:
                await self._completion.reply.ended()
            elif await self._something():
                leaving.cancel()  # from now on the line says so
                line.hold()
                await self._begin(send)
                last = await Writing(follower, line, self._next).run()
                if last is not None:
                    await send({"type": "http.response.body", "body": last, "more_body": False})
                return
            await self._answer(scope, send)
        finally:
            leaving.cancel()
            self._followers.unfollow(follower)
            # in case the reader could not take it all
            self._completion.cut(Cut.STOPPED)

    async def _leave_with(self, receive: Receive) -> None:
        await disconnected(receive)
        self._completion.cut(Cut.STOPPED)
        self._follower.drop()

    # ── whole ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, scope: Scope, send: Send) -> None:
        """Send what there is when the completion is over, or its error."""
        error = self._error()
        if error is None:
            status, headers, body = 200, limit_headers(self._completion.quotas), msgspec.json.encode(self._whole())
        else:
            status, headers, body = error_answer(error, method=scope["method"], path=scope["path"])  # type: ignore[typeddict-item]
        head = {"content-type": "application/json", "content-length": str(len(body))} | headers
        raw = [(name.lower().encode(), value.encode()) for name, value in head.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _error(self) -> AppError | None:
        """Why there is no completion, once it is over."""
        completion = self._completion
        if completion.error is not None:
            return completion.error
        if isinstance(completion.reply.ending, Done):
            return None
        return AppError() if completion.reply.detached else Interrupted()

    def _whole(self) -> ChatCompletion:
        completion, reply = self._completion, self._completion.reply
        text, reasoning = reply.text(), reply.reasoning()
        calls = tool_calls_of(completion.calls())
        message = CompletionMessageView(
            content=text if text or not calls else None,
            reasoning=reasoning or msgspec.UNSET,
            reasoning_content=reasoning or msgspec.UNSET,
            tool_calls=calls or msgspec.UNSET,
        )
        choice = ChoiceView(message, self._reason())
        return ChatCompletion(self._id, self._created, reply.model or "", [choice], self._used())

    def _reason(self) -> FinishReason:
        ending = self._completion.reply.ending
        reason = ending.finish_reason if isinstance(ending, Done) else None
        return cast("FinishReason", reason or "stop")

    def _used(self) -> CompletionUsage:
        return CompletionUsage.of(self._completion.usage)

    # ── in events ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _something(self) -> bool:
        """Wait for the first that can be sent, for `BEGIN_SECONDS`. False when the completion has failed before."""
        reply, changed = self._completion.reply, asyncio.Event()
        self._follower.connect(changed.set, None)
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                while not (reply.length or reply.reasoned or self._completion.calls() or self._is_over()):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return True
        return self._error() is None if self._is_over() else True

    def _is_over(self) -> bool:
        return self._completion.reply.ending is not None or self._completion.reply.detached or self._follower.cut

    async def _begin(self, send: Send) -> None:
        own = [
            (name.lower().encode(), value.encode()) for name, value in limit_headers(self._completion.quotas).items()
        ]
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS + own})

    def _next(self) -> tuple[bytes, bool]:
        """The next part of the stream, and whether it is the last; empty when its reader is up to date."""
        follower, reply, frames = self._follower, self._completion.reply, self._frames
        if not self._begun:
            self._begun = True
            return frames.role(reply.model) + self._news(), False
        if news := self._news():
            return news, False
        if reply.ending is not None or reply.detached:
            return self._last(), True
        return (frames.alive(reply.model), False) if follower.beat else (b"", False)

    def _last(self) -> bytes:
        error = self._error()
        if error is not None:
            return self._frames.error(error)
        return self._frames.end(self._completion.reply.model, self._reason(), self._used())

    def _news(self) -> bytes:
        """Everything that the reader has not been sent yet; empty when it is up to date."""
        reply, follower = self._completion.reply, self._follower
        news = b""
        if follower.reasoned < reply.reasoned:
            news = self._frames.reasoning(reply.model, follower.take_reasoning(MAX_FRAME_CHARACTERS))
            if follower.reasoned < reply.reasoned:  # the rest of it comes before the text
                return news
        if (start := follower.offset) < reply.length:
            end = follower.take_text(MAX_FRAME_CHARACTERS)
            news += self._frames.text(reply.model, reply.text(start)[: end - start])
            if follower.offset < reply.length:
                return news
        for part in self._completion.calls(self._called):
            self._called += 1
            news += self._frames.call(reply.model, ToolCallPart.of(part))
        return news

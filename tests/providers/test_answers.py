"""A stream from its opening to its end, whichever way it ends: nothing stays open, and nothing said is lost."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext

import httpx2
import pytest

from app.errors import BrokenStream
from app.providers import answers
from app.providers.answers import document, relay
from app.providers.dialect import Body, Dialect
from app.providers.openai.wire import OpenAIDecoder
from app.values import Delta, Finish, Opened, StreamItem

TOKEN = b'data: {"choices": [{"delta": {"content": "token"}}]}\n\n'
REASON = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'


class FakeResponse:
    """Gives out `reads`, then raises or waits for ever. Closing it waits for `may_close`."""

    def __init__(self, *reads: bytes, failure: Exception | None = None, compressed: bool = False) -> None:
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.closing = asyncio.Event()
        self.closed = False
        self.left = False
        self.extensions: dict[str, object] = {}
        self._compressed = compressed
        self._stream = self._body()
        self._reads = reads
        self._failure = failure

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        async with aclosing(self._stream) as stream:
            async for read in stream:
                yield gzip.decompress(read) if self._compressed else read

    async def _body(self) -> AsyncGenerator[bytes]:
        try:
            for read in self._reads:
                yield read
            if self._failure is not None:
                raise self._failure
            await asyncio.Event().wait()
        finally:
            self.left = True

    async def aclose(self) -> None:
        self.closing.set()
        await self.may_close.wait()
        self.closed = True


def stream_of(response: FakeResponse) -> AsyncGenerator[StreamItem]:
    async def send(body: Body) -> FakeResponse:
        assert body == {"model": "m"}
        return response

    return relay("m", Dialect(), lambda steps: {"model": "m"}, send, OpenAIDecoder, nullcontext)


async def test_closing_waits_until_everything_is_closed() -> None:
    response = FakeResponse(TOKEN)
    events = stream_of(response)
    assert [await anext(events) for _ in range(2)] == [Opened(), Delta("token")]
    response.may_close.clear()

    closing = asyncio.create_task(events.aclose())
    await response.closing.wait()
    assert response.left
    assert not closing.done()
    response.may_close.set()
    await closing

    assert response.closed


async def test_second_cancellation_does_not_stop_the_closing() -> None:
    response = FakeResponse(TOKEN)
    response.may_close.clear()

    async def consume() -> None:
        async for _ in stream_of(response):
            pass

    consuming = asyncio.create_task(consume())
    await asyncio.sleep(0)
    consuming.cancel()
    await response.closing.wait()
    consuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consuming
    assert not response.closed

    response.may_close.set()
    await asyncio.sleep(0)
    assert response.closed


async def test_connection_lost_inside_the_reply() -> None:
    response = FakeResponse(TOKEN, failure=httpx2.ReadError("gone"))
    async with aclosing(stream_of(response)) as events:
        assert [await anext(events) for _ in range(2)] == [Opened(), Delta("token")]
        with pytest.raises(BrokenStream) as raised:
            await anext(events)

    assert isinstance(raised.value.__cause__, httpx2.ReadError)
    assert response.closed


async def test_connection_lost_after_the_reason_to_finish() -> None:
    response = FakeResponse(TOKEN + REASON, failure=httpx2.ReadError("gone"))
    assert [event async for event in stream_of(response)] == [Opened(), Delta("token"), Finish("stop", None)]
    assert response.closed


async def test_stream_that_does_not_end_after_its_finish_is_ended() -> None:
    response = FakeResponse(TOKEN + REASON + b"data: [DONE]\n\n")
    assert [event async for event in stream_of(response)] == [Opened(), Delta("token"), Finish("stop", None)]
    assert response.closed


async def test_stream_that_stays_open_after_the_reason_to_finish_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LAST_EVENTS_SECONDS", 0.01)
    response = FakeResponse(TOKEN + REASON)
    async with asyncio.timeout(5):
        assert [event async for event in stream_of(response)] == [Opened(), Delta("token"), Finish("stop", None)]
    assert response.closed


async def test_compressed_stream_is_decompressed() -> None:
    response = FakeResponse(gzip.compress(TOKEN), gzip.compress(REASON + b"data: [DONE]\n\n"), compressed=True)
    assert [event async for event in stream_of(response)] == [Opened(), Delta("token"), Finish("stop", None)]


async def test_nothing_is_opened_before_the_first_event_is_wanted() -> None:
    response = FakeResponse(TOKEN)
    await stream_of(response).aclose()
    assert not response.closing.is_set()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"a": "\xff"}', b"[" * 5000])
def test_document_of_another_shape(body: bytes) -> None:
    with pytest.raises(BrokenStream):
        document(body, dict[str, str], provider="openai", model="m")


def test_document() -> None:
    assert document(json.dumps({"a": "b"}), dict[str, str], provider="openai", model=None) == {"a": "b"}

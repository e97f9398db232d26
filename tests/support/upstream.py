"""A provider that does what the prompt's last message says: how many tokens, how fast, how it fails. It speaks OpenAI's
API, and Claude's to whoever asks in that.

The message is JSON, e.g. `{"tokens": 50, "gap": 0.02}`; any other text is answered with 5 tokens. Token i is "tok<i> "
(or what `token` makes of i, e.g. `"é{}😀 "`, or the i-th of `pieces`), each in a write of its own, as real providers
do; with `stepped`, when the test says so. With `counts` "most" it says as many tokens as any could.
`thoughts` are reasoning before the text, a piece each; `calls` are the parts of tool calls after it. `silent_after` is
the token before which it falls silent for good, `raw` a body that is sent as it stands, and `retry_after` a header
beside `status`. What was asked and how each call ended is kept for the tests.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.upstream_wires import CLAUDE_API, OPENAI_API, PROMPT_TOKENS, Spoken, spoken_in

MODEL = "scripted-1"
LONGEST_REPLY = 128_000
TITLED = "<message>\n"
"""How the message begins that asks for a title."""
EMBEDDED_TOKENS = 11
"""What each text that is embedded counts."""


@dataclass
class Call:
    """One request for a reply, and how it went."""

    body: dict[str, Any]
    script: dict[str, Any]
    started_at: float
    sent: int = 0
    ended_at: float | None = None
    cancelled: bool = False
    api: str = OPENAI_API.name
    """In whose API it was asked for; `body["messages"]` begins with the system's, whatever the API."""
    _steps: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def step(self, tokens: int = 1) -> None:
        """Let so many more tokens of a `stepped` reply go; its end goes with the last."""
        for _ in range(tokens):
            self._steps.release()

    async def next_step(self) -> None:
        await self._steps.acquire()

    @property
    def text(self) -> str:
        """What has been sent so far."""
        return "".join(token(self.script, i) for i in range(self.sent))


@dataclass
class Upstream:
    """The server; use it as an async context manager."""

    calls: list[Call] = field(default_factory=list)
    moderated: list[str] = field(default_factory=list)
    """The texts that a verdict was asked for."""
    embedded: list[str] = field(default_factory=list)
    """The texts that a vector was asked for."""
    url: str = ""
    script: dict[str, Any] = field(default_factory=dict)
    """Laid over what the prompt says, e.g. `{"status": 500}` for an outage."""
    by_model: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Laid over that, for the calls of one model."""
    embedding_status: int = 200
    """What requests for vectors are answered with."""
    embedding_width: int | None = None
    """The numbers of a vector; None: as many as are asked for."""
    listing_status: int = 200
    """What requests for the list of models are answered with."""
    models: tuple[str, ...] = (MODEL,)
    """What it lists; it answers to any name."""
    claude_models: tuple[str, ...] = ()
    """What it lists in Claude's API."""
    titles: dict[str, Any] = field(default_factory=dict)
    """What it does where it is asked for a title."""
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def open_calls(self) -> int:
        return sum(call.ended_at is None for call in self.calls)

    def calls_of(self, marker: str) -> list[Call]:
        """The calls whose script carries this `id`."""
        return [call for call in self.calls if call.script.get("id") == marker]

    async def call(self, marker: str) -> Call:
        """The first call whose script carries this `id`, as soon as it is there."""
        while not (calls := self.calls_of(marker)):
            await self._arrived.wait()
        return calls[0]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # no coroutine: asyncio 3.11 logs an error where a task of its own making is cancelled
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                api = spoken_in(head)
                if b"/models" in head.split(b"\r\n", 1)[0] and self.listing_status != 200:
                    _json(writer, self.listing_status, api.error("scripted", None))
                elif b"/models" in head.split(b"\r\n", 1)[0]:
                    _json(writer, 200, api.models(self.claude_models if api is CLAUDE_API else self.models))
                elif b"/moderations" in head.split(b"\r\n", 1)[0]:
                    await self._moderate(json.loads(body)["input"], writer)
                elif b"/embeddings" in head.split(b"\r\n", 1)[0]:
                    self._embed(json.loads(body), writer)
                elif re.search(rb"/(chat/completions|messages)\b", head.split(b"\r\n", 1)[0]):
                    asked = json.loads(body)
                    await self._answer(asked | {"messages": api.messages(asked)}, api, reader, writer)
                else:
                    _json(writer, 404, {"error": {"message": "unknown path", "type": "invalid_request_error"}})
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _moderate(self, text: str, writer: asyncio.StreamWriter) -> None:
        """What the message says: `{"flag": ["violence"], "verdict": 0.2, "moderator": 503}`."""
        script = _script(text)
        self.moderated.append(text)
        await asyncio.sleep(script.get("verdict", 0))
        if (status := script.get("moderator", 200)) != 200:
            _json(writer, status, {"error": {"message": "scripted", "type": "scripted", "code": None}})
            return
        flags: list[str] = script.get("flag", [])
        categories = dict.fromkeys(("harassment", "violence"), False) | dict.fromkeys(flags, True)
        _json(writer, 200, {"id": "m", "results": [{"flagged": bool(flags), "categories": categories}]})

    def _embed(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        """The same vector for every text, at `EMBEDDED_TOKENS` each."""
        if self.embedding_status != 200:
            _json(writer, self.embedding_status, {"error": {"message": "scripted", "type": "scripted", "code": None}})
            return
        texts: list[str] = body["input"]
        self.embedded += texts
        vector = [1.0] + [0.0] * ((self.embedding_width or body.get("dimensions", 1536)) - 1)
        rows = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
        tokens = EMBEDDED_TOKENS * len(texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        _json(writer, 200, {"object": "list", "model": body["model"], "data": rows, "usage": usage})

    async def _answer(
        self, body: dict[str, Any], api: Spoken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        said = body["messages"][-1]["content"]
        own = self.titles if said.startswith(TITLED) else {}
        script = _script(said) | own | self.script | self.by_model.get(body["model"], {})
        loop = asyncio.get_running_loop()
        call = Call(body, script, loop.time(), api=api.name)
        self.calls.append(call)
        self._arrived.set()
        self._arrived = asyncio.Event()
        if script.get("drop"):
            call.ended_at = loop.time()
            raise ConnectionResetError
        if (status := script.get("status", 200)) != 200:
            call.ended_at = loop.time()
            # providers quote what they refuse
            error = api.error(f"scripted: {said}", script.get("code"))
            _json(writer, status, error, retry_after=script.get("retry_after"))
            return
        # anything that arrives before the answer is over can only be the end of the connection
        gone = asyncio.ensure_future(reader.read(1))
        writing = asyncio.ensure_future(self._stream(call, api, writer))
        await asyncio.wait((gone, writing), return_when=asyncio.FIRST_COMPLETED)
        call.ended_at = loop.time()
        if not writing.done():
            gone.exception()  # how it went does not matter
            call.cancelled = True
            writing.cancel()
            raise ConnectionResetError
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        writing.result()

    async def _stream(self, call: Call, api: Spoken, writer: asyncio.StreamWriter) -> None:
        script, model = call.script, call.body["model"]
        await asyncio.sleep(script.get("first", 0))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        if "raw" in script:
            writer.write(_chunked(script["raw"].encode()) + b"0\r\n\r\n")
            await writer.drain()
            return
        writer.write(_chunked(api.opening(model)))
        for thought in script.get("thoughts", ()):
            writer.write(_chunked(api.thought(model, thought)))
            await writer.drain()
            await asyncio.sleep(script.get("gap", 0))
        tokens = len(script["pieces"]) if "pieces" in script else script.get("tokens", 5)
        for index in range(tokens):
            if index == script.get("break_after"):
                raise ConnectionResetError
            if index == script.get("silent_after"):
                await asyncio.Event().wait()
            if index and script.get("gap"):
                await asyncio.sleep(script["gap"])
            if script.get("stepped"):
                await call.next_step()
            writer.write(_chunked(api.token(model, token(script, index))))
            call.sent = index + 1
            await writer.drain()
        for part in script.get("calls", ()):
            writer.write(_chunked(api.call(model, part)))
            await writer.drain()
        counted = script.get("counted", tokens)
        usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": counted}
        if script.get("counts") == "most":
            # a tokenizer with a token for each byte, a long template, and a reply as long as it may be
            limit = call.body.get("max_completion_tokens") or call.body.get("max_tokens") or LONGEST_REPLY
            prompt = sum(len(message["content"].encode()) + 12 for message in call.body["messages"]) + 100
            usage = {"prompt_tokens": prompt, "completion_tokens": limit}
        for part in api.ending(model, script.get("finish", "stop"), usage):
            writer.write(_chunked(part))
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def token(script: dict[str, Any], index: int) -> str:
    """The token at `index` of a scripted reply; `{now}` in its form becomes the time by `time.monotonic`."""
    if "pieces" in script:
        return str(script["pieces"][index])
    form: str = script.get("token", "tok{} ")
    return form.format(index, now=time.monotonic())


def _script(content: str) -> dict[str, Any]:
    """What the last paragraph says: neighbouring messages of one role, and passages, stand before it in one message."""
    try:
        script = json.loads(content.rpartition("\n\n")[2])
    except ValueError:
        return {}
    return script if isinstance(script, dict) else {}


def _json(writer: asyncio.StreamWriter, status: int, body: object, *, retry_after: int | None = None) -> None:
    content = json.dumps(body).encode()
    fields = f"content-type: application/json\r\ncontent-length: {len(content)}\r\n"
    if retry_after is not None:
        fields += f"retry-after: {retry_after}\r\n"
    writer.write(f"HTTP/1.1 {status} Scripted\r\n{fields}\r\n".encode() + content)


def _chunked(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)

"""Canaries: values that must stay where they belong go through everything that can go well or wrong, and are looked for
in logs, metrics, traces and in what other people are answered.

Each is of one kind, and proves first that it has got where it was to go: one that goes nowhere is missed by no test.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support import upstream as scripted
from tests.support.client import EVENT_STREAM, WAIT, new_conversation, reading, script
from tests.support.documents import indexed
from tests.support.limits import kept_settings, owned
from tests.support.replica_client import eventually
from tests.support.scrapes import scrape
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream
from tests.telemetry.collector import Collector, attributes, collecting

__all__ = ["kept_settings", "owned"]

pytestmark = pytest.mark.usefixtures("kept_settings")


def canary(kind: str) -> str:
    return f"canary{kind}{uuid.uuid4().hex}"


PROVIDER_KEY = canary("providerkey")
MODERATION = canary("moderated")
SYSTEM_PROMPT = canary("systemprompt")
RECEIVER_KEY = canary("receiverkey")
MESSAGE, ANSWER, THOUGHT = canary("message"), canary("answer"), canary("thought")
TITLE, INSTRUCTIONS, COMMENT = canary("title"), canary("instructions"), canary("comment")
DOCUMENT, DOCUMENT_NAME, QUERY = canary("document"), canary("documentname"), canary("query")
IMPORTED, KEY_NAME, IDEMPOTENCY = canary("imported"), canary("keyname"), canary("idempotency")
TOOL, CHAT_ID = canary("tool"), canary("chatid")
CALLBACK = f"https://hooks.example.com/{canary('callback')}?secret={canary('signature')}"
FORGED, BAGGAGE, COOKIE = canary("forged"), canary("baggage"), canary("cookie")
EMAIL = f"{canary('email')}@example.com"
SAID = {
    name: value
    for name, value in globals().copy().items()
    if isinstance(value, str) and "canary" in value and name.isupper()
}
"""All of these, by their names."""
SAYS = f"{MESSAGE} {CALLBACK}"


class Seen:
    """Where the canaries were, and all in which none may be."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.key = ""
        self.log = self.metrics = ""
        self.collector = Collector()
        self.upstream = Upstream()
        self.answers: dict[str, list[str]] = {"owner": [], "stranger": [], "anonymous": []}
        """Bodies and header fields of answers that are errors, by who got them."""
        self.stored: list[str] = []
        """Answers to the owner that are none."""

    @property
    def secrets(self) -> dict[str, str]:
        """All canaries, with those that the run has made."""
        _, claims, signature = self.person.token.split(".")
        made = {"personal key": self.key, "token": self.person.token, "claims": claims, "signature": signature}
        return {**SAID, **made}


@pytest.fixture(scope="module")
async def seen(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    port = free_port()
    folder: Path = tmp_path_factory.mktemp("canaries")
    with collecting() as collector:
        async with Upstream() as upstream:
            settings = {
                "OPENAI_API_KEY": PROVIDER_KEY,
                "OPENAI_BASE_URL": upstream.url,
                "OPENAI_MODEL": scripted.MODEL,
                "EMBEDDING_MODEL": "local",
                "SYSTEM_PROMPT": SYSTEM_PROMPT,
                "MODERATION": "openai",
                "LOG_LEVEL": "debug",
                "TITLES": "auto",
                "METRICS_PORT": str(port),
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {RECEIVER_KEY}",
                "OTEL_BSP_SCHEDULE_DELAY": "100",
            }
            seen = Seen(await sign_up(stack, email=EMAIL))
            seen.collector, seen.upstream = collector, upstream
            async with running_api(stack, folder / "api.log", **settings) as api:
                await go_everywhere(seen, api, await sign_up(stack))
                await eventually(lambda: len(collector.roots()) >= 15, within=60)
                seen.metrics = (await scrape(f"http://127.0.0.1:{port}/metrics")).text
                await end_inside_a_turn(seen, api)
            seen.log = api.log_text
    return seen


def client_of(seen: Seen, api: Api, who: str, headers: dict[str, str]) -> httpx.AsyncClient:
    async def keep(response: httpx.Response) -> None:
        if response.status_code >= 400:
            await response.aread()
            fields = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
            seen.answers[who].append(f"{response.request.method} {response.status_code}\n{fields}\n{response.text}")

    # what callers send along, and nobody asked for
    further = {"baggage": f"user={BAGGAGE}", "tracestate": f"vendor={BAGGAGE}", "Cookie": f"session={COOKIE}"}
    return httpx.AsyncClient(
        base_url=api.url, headers={**further, **headers}, timeout=60, event_hooks={"response": [keep]}
    )


async def go_everywhere(seen: Seen, api: Api, stranger: Person) -> None:
    async with (
        client_of(seen, api, "owner", seen.person.headers) as client,
        client_of(seen, api, "stranger", stranger.headers) as other,
        client_of(seen, api, "anonymous", {"Authorization": f"Bearer {FORGED}"}) as nobody,
    ):
        conversation = await new_conversation(client, title=TITLE, instructions=INSTRUCTIONS)
        await documents(client)
        replies = await turns(seen, client, other, conversation)
        await chats(client)
        await completions(seen, client, api)
        await imports(client)
        await feedback_and_search(client, replies[0])
        seen.stored.append((await client.get("/v1/export")).text)
        await trespass(other, nobody, conversation, replies)


def failing() -> list[str]:
    """Messages whose turns fail: refused by the provider, which quotes them and its key; broken, empty, flagged."""
    return [
        script(note=SAYS, status=400),
        script(note=SAYS, status=401),
        script(note=SAYS, token=f"{ANSWER}{{}} ", tokens=5, break_after=2),
        script(note=SAYS, tokens=0),
        script(note=SAYS, flag=["violence"]),
        script(note=SAYS, moderator=503),
    ]


def answered(**more: object) -> str:
    return script(note=SAYS, pieces=[f"{ANSWER} "], thoughts=[THOUGHT], **more)


async def turns(seen: Seen, client: httpx.AsyncClient, other: httpx.AsyncClient, conversation: str) -> list[str]:
    """The ids of the replies."""
    messages = f"/v1/conversations/{conversation}/messages"
    headers = WAIT | {"Idempotency-Key": IDEMPOTENCY}
    replies = [(await client.post(messages, json={"content": answered()}, headers=headers)).json()["id"]]
    await client.post(messages, json={"content": "another"}, headers=headers)  # the key with another body
    await client.post(messages, json={"content": "What closes at ten?"}, headers=WAIT)  # draws on the document
    for content in failing():
        response = await client.post(messages, json={"content": content}, headers=WAIT)
        seen.stored.append(response.text)
    endless = {"content": script(note=SAYS, token=f"{ANSWER}{{}} ", tokens=1000, gap=0.02)}
    async with reading(client, "POST", messages, json=endless) as reader:  # stopped
        await reader.until("delta")
        replies.append(reader.transcript.events[0].data["message_id"])
        for path in ("stop", "regenerate"):
            assert (await other.post(f"/v1/messages/{replies[-1]}/{path}")).status_code == 404
        assert (await other.get(f"/v1/messages/{replies[-1]}/stream", headers=EVENT_STREAM)).status_code == 404
        await client.post(f"/v1/messages/{replies[-1]}/stop")
    async with reading(client, "POST", messages, json=endless) as reader:  # cut by its reader, and deleted
        await reader.until("delta")
        await client.delete(f"/v1/messages/{reader.transcript.events[0].data['message_id']}")
    # refused
    await client.post(messages, json={"content": SAYS, "model": SAYS[:90]})
    await client.post(messages, json={"content": SAYS, "provider": MESSAGE})
    await client.post(messages, json={MESSAGE: SAYS})
    await client.post(messages, content=f'{{"content": "{SAYS}'.encode(), headers={"Content-Type": "application/json"})
    await client.post(messages, content=SAYS.encode(), headers={"Content-Type": "text/plain"})
    await client.post(f"/v1/conversations/{uuid.uuid4()}/messages", json={"content": SAYS})
    await client.patch(f"/v1/conversations/{conversation}", json={"title": f"{TITLE}\0"})
    await client.get(f"/v1/{quote(MESSAGE)}?token={quote(SAYS)}")
    return replies


async def chats(client: httpx.AsyncClient) -> None:
    for content in (answered(), *failing()[:4]):
        message = {"id": canary("id")[:40], "role": "user", "parts": [{"type": "text", "text": content}]}
        body = {"id": CHAT_ID, "message": message}
        async with client.stream("POST", "/v1/chat", json=body) as response:
            await response.aread()
    await client.post("/v1/chat", json={"id": CHAT_ID, "message": {"id": MESSAGE, "role": SAYS, "parts": []}})
    await client.get(f"/v1/chat/{CHAT_ID}x/stream")


async def completions(seen: Seen, client: httpx.AsyncClient, api: Api) -> None:
    made = await client.post("/v1/keys", json={"name": KEY_NAME})
    seen.key = made.json()["key"]
    tool = {"type": "function", "function": {"name": "look", "description": TOOL, "parameters": {"type": "object"}}}
    async with client_of(seen, api, "owner", {"Authorization": f"Bearer {seen.key}"}) as openai:
        path = "/openai/v1/chat/completions"
        for content in (answered(), *failing()):
            messages = [{"role": "user", "content": content}]
            for stream in (False, True):
                body = {"model": scripted.MODEL, "messages": messages, "stream": stream, "tools": [tool]}
                await openai.post(path, json=body)
        await openai.post(path, json={"model": MESSAGE, "messages": [{"role": "user", "content": SAYS}]})
        await openai.post(path, json={"model": "auto", "messages": [{"role": SAYS, "content": SAYS}]})
        await openai.post("/openai/v1/embeddings", json={"model": "local", "input": [SAYS, DOCUMENT]})
        await openai.post("/openai/v1/embeddings", json={"model": MESSAGE, "input": SAYS})
        endless = script(note=SAYS, token=f"{ANSWER}{{}} ", tokens=1000, gap=0.02)
        body = {"model": "auto", "messages": [{"role": "user", "content": endless}], "stream": True}
        async with openai.stream("POST", path, json=body) as response:  # cut by its reader
            async for _ in response.aiter_raw():
                break
        await openai.get("/v1/conversations")  # the key opens nothing else
    await client.delete(f"/v1/keys/{made.json()['id']}")
    async with client_of(seen, api, "owner", {"Authorization": f"Bearer {seen.key[:-1]}x"}) as mistyped:
        await mistyped.get("/openai/v1/models")


async def documents(client: httpx.AsyncClient) -> None:
    stored = await client.post("/v1/documents", json={"title": DOCUMENT_NAME, "content": f"{DOCUMENT} closes at ten."})
    await indexed(client, stored.json()["id"])
    name = f"{DOCUMENT_NAME}.md"
    uploads = {
        name: f"# {DOCUMENT}\n\nA cat.".encode(),
        f"{DOCUMENT_NAME}.pdf": f"%PDF-1.7 {DOCUMENT}".encode(),
        f"{DOCUMENT_NAME}.docx": DOCUMENT.encode(),
        f"{DOCUMENT_NAME}.exe": DOCUMENT.encode(),
        f"{DOCUMENT_NAME}.txt": DOCUMENT.encode() + b"\xff\xfe\xff",
    }
    for file, data in uploads.items():
        await client.post("/v1/documents", files={"file": (file, data)})
    await client.post("/v1/documents", json={"title": DOCUMENT_NAME, "content": DOCUMENT, DOCUMENT: 1})


async def imports(client: httpx.AsyncClient) -> None:
    head = {"type": "parley.export", "version": 1}
    line = {"type": "conversation", "id": "c", "title": IMPORTED, "created_at": "2026-01-02T03:04:05+00:00"}
    message = {"type": "message", "id": "m", "role": "user", "content": IMPORTED, "created_at": line["created_at"]}
    wrong = {**message, "role": IMPORTED}
    for items in ([head, line, message, {"type": "end"}], [head, line, wrong, {"type": "end"}], [head, {IMPORTED: 1}]):
        file = "".join(json.dumps(item) + "\n" for item in items)
        begun = await client.post("/v1/imports", content=file, headers={"Content-Type": "application/x-ndjson"})
        if begun.status_code == 202:
            await eventually(lambda begun=begun: over(client, begun.headers["location"]), within=30)  # type: ignore[misc]


async def over(client: httpx.AsyncClient, location: str) -> bool:
    return (await client.get(location)).json()["status"] != "running"


async def feedback_and_search(client: httpx.AsyncClient, reply: str) -> None:
    assert (
        await client.put(f"/v1/messages/{reply}/feedback", json={"rating": "up", "comment": COMMENT})
    ).status_code < 300
    await client.put(f"/v1/messages/{reply}/feedback", json={"rating": COMMENT})
    await client.post("/v1/search", json={"query": QUERY})
    await client.post("/v1/search", json={"query": QUERY, "limit": QUERY})
    await client.get("/v1/conversations", params={"q": QUERY})
    await client.get("/v1/conversations", params={"cursor": QUERY})
    await client.post("/v1/moderations", json={"content": MODERATION})


async def trespass(other: httpx.AsyncClient, nobody: httpx.AsyncClient, conversation: str, replies: list[str]) -> None:
    """What others may try with ids that they have heard of."""
    for client in (other, nobody):
        await client.get(f"/v1/conversations/{conversation}")
        await client.get(f"/v1/conversations/{conversation}/messages")
        await client.get(f"/v1/conversations/{conversation}/export")
        await client.post(f"/v1/conversations/{conversation}/messages", json={"content": "?"})
        await client.patch(f"/v1/conversations/{conversation}", json={"title": "mine"})
        await client.get(f"/v1/chat/{CHAT_ID}/stream")
        for reply in replies:
            await client.get(f"/v1/messages/{reply}")
            await client.get(f"/v1/messages/{reply}/stream", headers=EVENT_STREAM)
            await client.post(f"/v1/messages/{reply}/stop")
            await client.post(f"/v1/messages/{reply}/regenerate")
            await client.put(f"/v1/messages/{reply}/feedback", json={"rating": "up"})
        # the same content and the same key as somebody else's
        await client.post(
            f"/v1/conversations/{uuid.uuid4()}/messages",
            json={"content": "?"},
            headers={"Idempotency-Key": IDEMPOTENCY},
        )


async def end_inside_a_turn(seen: Seen, api: Api) -> None:
    """The process ends while a reply is written."""
    async with client_of(seen, api, "owner", seen.person.headers) as client:
        conversation = await new_conversation(client)
        endless = {"content": script(note=SAYS, token=f"{ANSWER}{{}} ", tokens=100_000, gap=0.02)}
        async with reading(client, "POST", f"/v1/conversations/{conversation}/messages", json=endless) as reader:
            await reader.until("delta")
            api.terminate()
            with suppress(AssertionError, httpx.HTTPError, TimeoutError):
                await reader.to_end()
        assert await api.ended(15) == 0


def forms(value: str) -> Iterator[str]:
    """As it is, and as it is written in other places."""
    yield value
    yield quote(value, safe="")
    yield json.dumps(value)[1:-1]
    # in the middle of something that was encoded whole, at each of the three places where it may begin
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + value.encode())[4:-4].decode()


def found_in(text: str, values: dict[str, str]) -> list[str]:
    return [name for name, value in values.items() if any(form in text for form in forms(value))]


def test_the_canaries_went_where_they_belong(seen: Seen, stack: LocalSupabase) -> None:
    """Else nothing below means anything."""
    asked = "\n".join(json.dumps(call.body) for call in seen.upstream.calls)
    for name in ("MESSAGE", "INSTRUCTIONS", "SYSTEM_PROMPT", "TOOL", "DOCUMENT"):
        assert SAID[name] in asked, name
    stored = "\n".join(seen.stored)
    for name in ("TITLE", "ANSWER", "THOUGHT", "COMMENT", "DOCUMENT_NAME", "IMPORTED"):
        assert SAID[name] in stored, name
    assert MODERATION in seen.upstream.moderated
    assert seen.key.startswith("parley_")
    assert seen.collector.headers[0]["authorization"] == f"Bearer {RECEIVER_KEY}"


def test_there_is_something_to_look_through(seen: Seen) -> None:
    lines = [json.loads(line) for line in seen.log.splitlines()]
    events = {line["event"] for line in lines}
    assert {
        "request.done",
        "provider.failed",
        "turn.unanswered",
        "moderation.unavailable",
    } <= events
    ends = {value for root in seen.collector.roots() for value in [attributes(root)["parley.end"]]}
    assert {"complete", "failed", "filtered", "stopped", "refused"} <= ends
    assert seen.metrics.count("\n") > 300
    assert len(seen.answers["stranger"]) > 10
    assert len(seen.answers["anonymous"]) > 10
    assert len(seen.answers["owner"]) > 30


def test_none_is_in_the_log(seen: Seen, stack: LocalSupabase) -> None:
    assert found_in(seen.log, {**seen.secrets, "secret key": stack.secret_key}) == []


def test_none_is_in_the_metrics(seen: Seen, stack: LocalSupabase) -> None:
    assert found_in(seen.metrics, {**seen.secrets, "secret key": stack.secret_key, "user": seen.person.id}) == []


def test_none_is_in_the_traces(seen: Seen, stack: LocalSupabase) -> None:
    traces = b"\n".join(seen.collector.bodies).decode("latin-1")
    assert found_in(traces, {**seen.secrets, "secret key": stack.secret_key, "user": seen.person.id}) == []


@pytest.mark.parametrize("who", ["stranger", "anonymous"])
def test_none_is_in_what_others_are_answered(seen: Seen, stack: LocalSupabase, who: str) -> None:
    answers = "\n".join(seen.answers[who])
    assert found_in(answers, {**seen.secrets, "secret key": stack.secret_key, "user": seen.person.id}) == []


def test_no_secret_of_the_server_is_in_an_error(seen: Seen, stack: LocalSupabase) -> None:
    """Not in the owner's either. Their own words may be, where a mistake is named."""
    answers = "\n".join([*seen.answers["owner"], *seen.stored])
    ours = {name: SAID[name] for name in ("PROVIDER_KEY", "SYSTEM_PROMPT", "RECEIVER_KEY")}
    assert found_in(answers, {**ours, "secret key": stack.secret_key, "key": seen.key}) == []

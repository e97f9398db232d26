"""The log of a busy session at its most talkative: one line a request, and nothing in it that is anybody's business."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.client import EVENT_STREAM, WAIT, new_conversation, person_client, reading, script
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream

KEY = "sk-a-key-that-stays-secret"
SAID = "words-of-the-user"
ANSWERED = "words-of-the-model"


class Session:
    """What was done, and what the API wrote about it."""

    def __init__(self, api: Api, person: Person, log: str) -> None:
        self.api = api
        self.person = person
        self.log = log
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]

    def requests(self, request_id: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == "request.done" and line["request_id"] == request_id]


REQUEST_IDS = {
    name: f"{name}{uuid.uuid4().hex[:8]}"
    for name in (*("stream", "read", "unknown", "malformed", "anonymous"), *("missing", "noid", "method", "preflight"))
}


@pytest.fixture(scope="module")
async def session(stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Everything that goes well or wrong, then a stop: the log is whole."""
    log: Path = tmp_path_factory.mktemp("log") / "api.log"
    settings = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "LOG_LEVEL": "debug",
    }
    async with running_api(stack, log, **settings) as api:
        person = await sign_up(stack)
        async with person_client(api, person) as client:
            await be_busy(client)
        api.terminate()
        assert await api.ended(10) == 0
    return Session(api, person, api.log_text)


async def be_busy(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client, title=SAID)
    messages = f"/v1/conversations/{conversation}/messages"
    whole = script(note=SAID, token=ANSWERED + "{} ", tokens=20)
    headers = EVENT_STREAM | {"X-Request-ID": REQUEST_IDS["stream"]}
    await client.post(messages, json={"content": whole}, headers=headers)
    await client.post(messages, json={"content": f"{SAID} again"}, headers=WAIT)
    for failing in (
        script(note=SAID, status=400),
        script(note=SAID, status=401),
        script(note=SAID, token=ANSWERED, tokens=5, break_after=2),
    ):
        await client.post(messages, json={"content": failing}, headers=WAIT)
    endless = {"content": script(note=SAID, token=ANSWERED, tokens=1000, gap=0.02)}
    async with reading(client, "POST", messages, json=endless) as reader:
        await reader.until("delta")
        message = reader.transcript.events[0].data["message_id"]
        await client.post(f"/v1/messages/{message}/stop")
    async with reading(client, "POST", messages, json=endless) as reader:
        await reader.until("delta")
    for content in (b"{", json.dumps({"content": SAID, SAID: SAID}).encode(), b'{"content":"%b\xff"}' % SAID.encode()):
        headers = {"X-Request-ID": REQUEST_IDS["malformed"], "Content-Type": "application/json"}
        await client.post(messages, content=content, headers=headers)
    await client.post(messages, json={"content": SAID, "model": SAID})
    await client.post(messages, json={"content": SAID}, headers={"Idempotency-Key": SAID})
    await client.patch(f"/v1/conversations/{conversation}", json={"title": f"{SAID}\0"})
    await client.post("/v1/documents", json={"title": SAID, "content": SAID})
    await client.post("/v1/search", json={"query": SAID})
    await client.get(f"/v1/conversations/{conversation}", headers={"X-Request-ID": REQUEST_IDS["read"]})
    await client.get(f"/v1/{SAID}?token={SAID}", headers={"X-Request-ID": REQUEST_IDS["unknown"]})
    await client.get(f"/v1/conversations/{uuid.uuid4()}", headers={"X-Request-ID": REQUEST_IDS["missing"]})
    await client.get(f"/v1/messages/{SAID}/stream", headers={"X-Request-ID": REQUEST_IDS["noid"]})
    await client.put(f"/v1/messages/{uuid.uuid4()}", headers={"X-Request-ID": REQUEST_IDS["method"]})
    await client.options(f"/v1/messages/{uuid.uuid4()}", headers={"X-Request-ID": REQUEST_IDS["preflight"]})
    forged = {"Authorization": client.headers["authorization"] + "x", "X-Request-ID": REQUEST_IDS["anonymous"]}
    await client.get("/v1/models", headers=forged)


def test_nothing_secret_is_in_it(session: Session, stack: LocalSupabase) -> None:
    assert len(session.lines) > 20
    secrets = [
        SAID,
        ANSWERED,
        KEY,
        session.person.token,
        session.person.token.split(".")[1],
        session.person.token.split(".")[2],
        session.person.email,
        stack.publishable_key,
        stack.secret_key,
        "Traceback",
    ]
    assert [secret for secret in secrets if secret in session.log] == []


def test_every_line_is_an_event(session: Session) -> None:
    for line in session.lines:
        assert {"event", "level", "timestamp"} <= set(line)
        assert all(value is None or isinstance(value, str | int | float | bool) for value in line.values())
    events = {line["event"] for line in session.lines}
    assert {"service.started", "service.stopped", "service.draining", "request.done", "provider.failed"} <= events


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stream", {"method": "POST", "path": "/v1/conversations/{conversation_id}/messages", "status": 200}),
        ("read", {"method": "GET", "path": "/v1/conversations/{conversation_id}", "status": 200}),
        ("unknown", {"method": "GET", "path": None, "status": 404}),
        ("anonymous", {"method": "GET", "path": "/v1/models", "status": 401}),
        # what the router did not find a handler for is a known route all the same
        ("missing", {"method": "GET", "path": "/v1/conversations/{conversation_id}", "status": 404}),
        ("noid", {"method": "GET", "path": "/v1/messages/{message_id}/stream", "status": 404}),
        ("method", {"method": "PUT", "path": "/v1/messages/{message_id}", "status": 405}),
        ("preflight", {"method": "OPTIONS", "path": "/v1/messages/{message_id}"}),
    ],
)
def test_request_is_one_line(session: Session, name: str, expected: dict[str, Any]) -> None:
    """However many tokens it took."""
    [line] = session.requests(REQUEST_IDS[name])
    assert {key: line[key] for key in expected} == expected
    assert line["duration_ms"] > 0
    assert line["level"] == "info"


@pytest.mark.parametrize("name", REQUEST_IDS)
def test_request_names_its_user_by_id(session: Session, name: str) -> None:
    """Never by the e-mail address; nobody, where the token was not valid or no handler was found."""
    known = {"stream", "read", "malformed", "missing"}
    for line in session.requests(REQUEST_IDS[name]):
        assert line["user_id"] == (session.person.id if name in known else None)


def test_requests_of_one_id_are_a_line_each(session: Session) -> None:
    assert [line["status"] for line in session.requests(REQUEST_IDS["malformed"])] == [400, 422, 400]


def test_lines_are_of_requests_and_not_of_tokens(session: Session) -> None:
    """About 100 tokens went through; what is not a request is a handful of failures and the service's own life."""
    others = [line["event"] for line in session.lines if line["event"] != "request.done"]
    assert len(others) < 25, others


def test_what_a_turn_does_is_found_by_its_request(session: Session) -> None:
    """Failures happen in the reply's own task, long after the request may be over."""
    failed = [line for line in session.lines if line["event"] == "provider.failed"]
    assert failed
    served = {line["request_id"] for line in session.lines if line["event"] == "request.done"}
    assert {line["request_id"] for line in failed} <= served

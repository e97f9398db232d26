"""Every route, as nobody, as a stranger and as the owner. A route without a case here fails a test."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.main import create_app
from app.settings import Settings
from tests.support.client import assert_problem, history, new_conversation, reading, script, turn
from tests.support.service import Person
from tests.support.upstream import Upstream


@dataclass(frozen=True)
class Case:
    """A request to one route. `owned`: it names a thing of somebody's; otherwise it is about the caller's own."""

    method: str
    template: str
    status: int
    body: dict[str, Any] | None = None
    owned: bool = True

    def path(self, ids: dict[str, str]) -> str:
        return self.template.format(**ids)

    async def call(self, client: httpx.AsyncClient, ids: dict[str, str]) -> httpx.Response:
        # chats answer with text where JSON is not asked for
        return await client.request(self.method, self.path(ids), json=self.body, headers={"Accept": "application/json"})


CONVERSATION, MESSAGE = "/v1/conversations/{conversation_id}", "/v1/messages/{message_id}"
DOCUMENT = "/v1/documents/{document_id}"
COMPLETION = {"model": "auto", "messages": [{"role": "user", "content": "And then?"}]}
CHAT_MESSAGE = {"id": "kQ3hPz7mYx2LwB9c", "role": "user", "parts": [{"type": "text", "text": "And then?"}]}
CASES = (
    Case("GET", "/v1/models", 200, owned=False),
    Case("POST", "/v1/conversations", 201, {"title": "Plans"}, owned=False),
    Case("GET", "/v1/conversations", 200, owned=False),
    Case("GET", CONVERSATION, 200),
    Case("PATCH", CONVERSATION, 200, {"title": "Other plans"}),
    Case("DELETE", CONVERSATION, 204),
    Case("GET", f"{CONVERSATION}/messages", 200),
    Case("POST", f"{CONVERSATION}/messages", 202, {"content": "And then?"}),
    Case("GET", MESSAGE, 200),
    Case("DELETE", MESSAGE, 204),
    Case("GET", f"{CONVERSATION}/export", 200),
    Case("GET", "/v1/export", 200, owned=False),
    Case("POST", "/v1/imports", 422, {"type": "parley.export", "version": 2}, owned=False),
    Case("GET", "/v1/imports/{import_id}", 200),
    Case("DELETE", "/v1/me/data", 422, {"confirm": "yes"}, owned=False),
    Case("PUT", f"{MESSAGE}/feedback", 200, {"rating": "up", "comment": "Well put."}),
    Case("DELETE", f"{MESSAGE}/feedback", 204),
    Case("GET", f"{MESSAGE}/stream", 200),
    Case("POST", f"{MESSAGE}/stop", 200),
    Case("POST", f"{MESSAGE}/regenerate", 202, {}),
    # of another user's chat one learns nothing: any id may be a chat's
    Case("POST", "/v1/chat", 200, {"id": "a chat", "message": CHAT_MESSAGE}, owned=False),
    Case("GET", "/v1/chat/{chat_id}/stream", 200, owned=False),
    Case("GET", "/v1/chat/{chat_id}/messages", 200, owned=False),
    Case("POST", "/v1/chat/{chat_id}/stop", 204, owned=False),
    Case("POST", "/v1/documents", 201, {"title": "Notes", "content": "A first text"}, owned=False),
    Case("GET", "/v1/documents", 200, owned=False),
    Case("GET", DOCUMENT, 200),
    Case("PUT", DOCUMENT, 200, {"title": "Notes", "content": "A second text"}),
    Case("DELETE", DOCUMENT, 204),
    Case("POST", "/v1/search", 200, {"query": "A text"}, owned=False),
    Case("GET", "/v1/usage", 200, owned=False),
    Case("POST", "/v1/keys", 201, {"name": "notebook"}, owned=False),
    Case("GET", "/v1/keys", 200, owned=False),
    Case("DELETE", "/v1/keys/{key_id}", 204),
    Case("GET", "/v1/settings", 200, owned=False),
    Case("PATCH", "/v1/settings", 200, {"instructions": None}, owned=False),
    Case("POST", "/v1/estimate", 200, {"content": "And then?"}, owned=False),
    Case("POST", "/v1/moderations", 503, {"content": "A text"}, owned=False),
    Case("GET", "/openai/v1/models", 200, owned=False),
    Case("GET", "/openai/v1/models/{model}", 404, owned=False),
    Case("POST", "/openai/v1/chat/completions", 200, COMPLETION, owned=False),
    Case("POST", "/openai/v1/embeddings", 200, {"model": "auto", "input": "A text"}, owned=False),
)
OWNED = [case for case in CASES if case.owned]


def name(case: Case) -> str:
    return f"{case.method} {case.template}"


async def make(as_owner: httpx.AsyncClient) -> dict[str, str]:
    """Things of the owner's, by the names of the routes' parameters: a conversation, its finished reply, a document."""
    conversation = await new_conversation(as_owner, title="Mine")
    reply = await turn(as_owner, conversation, "A secret of the owner's")
    document = await as_owner.post("/v1/documents", json={"title": "Mine", "content": f"Secret {uuid.uuid4()}"})
    assert document.status_code == 201, document.text
    file = '{"type": "parley.export", "version": 1}\n{"type": "end"}'
    lines = {"Content-Type": "application/x-ndjson"}
    imported = await as_owner.post("/v1/imports", content=file, headers=lines)
    while imported.status_code == 409:  # the one before is still running
        imported = await as_owner.post("/v1/imports", content=file, headers=lines)
    assert imported.status_code == 202, imported.text
    # a user has at most 20 keys
    keys = (await as_owner.get("/v1/keys")).json()["items"]
    key = keys[0] if keys else (await as_owner.post("/v1/keys", json={"name": "notebook"})).json()
    return {
        "key_id": key["id"],
        "model": "gpt-0",
        "import_id": imported.json()["id"],
        "conversation_id": conversation,
        "chat_id": conversation,
        "message_id": reply["id"],
        "document_id": document.json()["id"],
    }


@pytest.fixture(scope="module")
async def ids(as_owner: httpx.AsyncClient) -> dict[str, str]:
    """The owner's things, for tests that do not change them."""
    return await make(as_owner)


async def everything(client: httpx.AsyncClient, ids: dict[str, str]) -> list[object]:
    """Whatever could have been changed of these things."""
    conversation, document = CONVERSATION.format(**ids), DOCUMENT.format(**ids)
    document_row = (await client.get(document)).json()
    # indexing goes on by itself
    shown = {name: document_row[name] for name in ("id", "title", "metadata", "media_type", "created_at")}
    return [(await client.get(conversation)).json(), await history(client, ids["conversation_id"]), shown]


async def test_every_route_has_a_case() -> None:
    settings = Settings(supabase_url="http://127.0.0.1:1", supabase_publishable_key="p", supabase_secret_key="s")
    app = create_app(settings)
    routes = {
        f"{method} {route.path_format}"
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for method, (handler, _) in route.route_handler_map.items()
        if isinstance(handler, HTTPRouteHandler) and method != "OPTIONS"
    }
    await app.state.service.supabase.aclose()
    assert routes == {name(case) for case in CASES} | {"GET /health/live", "GET /health/ready"}


@pytest.mark.parametrize("case", CASES, ids=name)
async def test_anonymous(case: Case, anonymous: httpx.AsyncClient, ids: dict[str, str]) -> None:
    response = await case.call(anonymous, ids)
    if case.template.startswith("/openai/"):
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    else:
        assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("case", OWNED, ids=name)
async def test_stranger(
    case: Case, as_stranger: httpx.AsyncClient, as_owner: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    before = await everything(as_owner, ids)
    refused = await case.call(as_stranger, ids)
    assert_problem(refused, 404, "not_found")
    # word for word what an id gets that nobody has: the answer does not tell whether it exists
    unknown = await case.call(as_stranger, dict.fromkeys(ids, str(uuid.uuid4())))
    assert refused.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    assert await everything(as_owner, ids) == before


@pytest.mark.parametrize("case", CASES, ids=name)
async def test_owner(case: Case, as_owner: httpx.AsyncClient, ids: dict[str, str]) -> None:
    changing = case.owned and case.method != "GET"
    response = await case.call(as_owner, await make(as_owner) if changing else ids)
    assert response.status_code == case.status, response.text


@pytest.mark.parametrize("case", OWNED, ids=name)
@pytest.mark.parametrize("unknown", ["1", "not-a-uuid", "null", "%00", "..%2f..%2fhealth%2flive"])
async def test_id_that_is_none(case: Case, unknown: str, as_owner: httpx.AsyncClient) -> None:
    names = ("conversation_id", "message_id", "document_id", "import_id", "key_id")
    response = await case.call(as_owner, dict.fromkeys(names, unknown))
    assert_problem(response, 404, "not_found")


@pytest.mark.parametrize("kind", ["conversation", "document"])
async def test_list_holds_nothing_of_a_strangers(
    kind: str, as_owner: httpx.AsyncClient, as_stranger: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    await new_conversation(as_stranger, title="Theirs")
    await as_stranger.post("/v1/documents", json={"title": "Theirs", "content": "A text of the stranger's"})
    theirs = (await as_stranger.get(f"/v1/{kind}s", params={"limit": 100})).json()["items"]
    mine = (await as_owner.get(f"/v1/{kind}s", params={"limit": 100})).json()["items"]
    assert theirs
    assert ids[f"{kind}_id"] in {item["id"] for item in mine}
    assert not {item["id"] for item in mine} & {item["id"] for item in theirs}


@pytest.mark.parametrize(
    ("method", "action"), [("GET", ""), ("GET", "/stream"), ("POST", "/stop"), ("POST", "/regenerate")]
)
async def test_stranger_and_a_reply_that_is_being_written(
    method: str, action: str, as_owner: httpx.AsyncClient, as_stranger: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Whatever is kept in memory of a live reply is guarded as the database guards it."""
    conversation, marker = await new_conversation(as_owner), uuid.uuid4().hex
    body = {"content": script(id=marker, tokens=3, stepped=True)}
    async with reading(as_owner, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        call = await upstream.call(marker)
        call.step()
        await reader.until("delta")
        message = reader.transcript.named("message.started")[0].data["message_id"]
        assert_problem(await as_stranger.request(method, f"/v1/messages/{message}{action}"), 404, "not_found")
        call.step(2)
        transcript = await reader.to_end()
    assert transcript.events[-1].name == "done"
    assert transcript.text == "tok0 tok1 tok2 "


async def test_user_message_is_no_reply(as_owner: httpx.AsyncClient) -> None:
    """It can be read, and answered again; there is nothing to follow or to stop."""
    conversation = await new_conversation(as_owner)
    await turn(as_owner, conversation)
    asked = (await history(as_owner, conversation))[0]
    assert (await as_owner.get(f"/v1/messages/{asked['id']}")).json() == asked
    assert_problem(await as_owner.get(f"/v1/messages/{asked['id']}/stream"), 404, "not_found")
    assert_problem(await as_owner.post(f"/v1/messages/{asked['id']}/stop"), 404, "not_found")
    again = await as_owner.post(f"/v1/messages/{asked['id']}/regenerate")
    assert again.status_code == 202
    assert again.json()["message"]["parent_id"] == asked["id"]


async def test_only_a_bearer_token_is_one(anonymous: httpx.AsyncClient, owner: Person, ids: dict[str, str]) -> None:
    """The scheme's name may be written in any case, and nothing else will do."""
    path = f"/v1/conversations/{ids['conversation_id']}"
    assert (await anonymous.get(path, headers={"Authorization": f"bEARER {owner.token}"})).status_code == 200
    for header in (owner.token, f"Basic {owner.token}", f"Bearer {owner.token} x", f"Bearer {owner.token},x", "Bearer"):
        assert_problem(await anonymous.get(path, headers={"Authorization": header}), 401, "unauthenticated")

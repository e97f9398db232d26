"""What people can do to each other through the Data API, with nothing but a token and the publishable key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection, vector

Headers = dict[str, str]
ROWS_OF = """
    select t.name, t.row from (
      select 'conversations' as name, user_id, to_jsonb(c) as row from public.conversations as c
      union all select 'messages', user_id, to_jsonb(m) from public.messages as m
      union all select 'documents', user_id, to_jsonb(d) from public.documents as d
      union all select 'embeddings', user_id, to_jsonb(e) from public.embeddings as e
      union all select 'entitlements', user_id, to_jsonb(e) from public.entitlements as e
      union all select 'live_replies', user_id, to_jsonb(l) - 'lease_expires_at' from private.live_replies as l
      union all select 'idempotency_keys', user_id, to_jsonb(k) from private.idempotency_keys as k
    ) as t where t.user_id = any(%s) order by t.name, t.row::text
"""


class Person(NamedTuple):
    """A signed-up user and the headers of their client."""

    id: str
    headers: Headers


class Story(NamedTuple):
    """Two people; the owner has one row of everything and a reply that streams, the stranger a conversation."""

    owner: Person
    stranger: Person
    anon: Headers
    service: Headers
    ids: dict[str, str]

    def headers_of(self, who: str) -> Headers:
        found = getattr(self, who)
        headers: Headers = found.headers if isinstance(found, Person) else found
        return headers

    def filled(self, value: Any) -> Any:
        """The value with `{owner}`, `{conversation}` and the like replaced by ids."""
        if isinstance(value, str):
            for name, found in self.ids.items():
                value = value.replace(f"{{{name}}}", found)
        elif isinstance(value, dict):
            value = {key: self.filled(one) for key, one in value.items()}
        elif isinstance(value, list):
            value = [self.filled(one) for one in value]
        return value


def ask(http: httpx.Client, method: str, path: str, headers: Headers, json: Any = None, **more: str) -> httpx.Response:
    return http.request(method, f"/rest/v1/{path}", headers={**headers, **more}, json=json)


@pytest.fixture(scope="module")
def story(http: httpx.Client, stack: LocalSupabase) -> Story:
    anon = {"apikey": stack.publishable_key}
    service = {"apikey": stack.secret_key}

    def made(response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()

    def sign_up() -> Person:
        credentials = {"email": f"{uuid.uuid4()}@parley.example", "password": "correct horse"}
        session = made(http.post("/auth/v1/signup", headers=anon, json=credentials))
        return Person(session["user"]["id"], {**anon, "Authorization": f"Bearer {session['access_token']}"})

    def insert(table: str, headers: Headers, row: dict[str, Any]) -> Any:
        return made(ask(http, "POST", table, headers, row, Prefer="return=representation"))[0]

    owner, stranger = sign_up(), sign_up()
    conversation = insert("conversations", owner.headers, {"title": "mine"})["id"]
    theirs = insert("conversations", stranger.headers, {"title": "theirs"})["id"]
    turn = {"p_writer": str(uuid.uuid4()), "p_conversation_id": conversation, "p_content": "secret"}
    begun = made(ask(http, "POST", "rpc/begin_turn", owner.headers, {**turn, "p_idempotency_key": "k"}))
    reply = begun["message"]["id"]
    piece = {"id": reply, "seq": 1, "text": "secret", "provider": "demo", "model": "demo"}
    made(ask(http, "POST", "rpc/journal_write", service, {"p_pieces": [piece], "p_alive": [reply]}))
    document = insert("documents", service, {"user_id": owner.id, "title": "secret"})["id"]
    passage = insert(
        "embeddings",
        service,
        {
            "document_id": document,
            "user_id": owner.id,
            "passage": 0,
            "content": "secret",
            "embedding": vector(1),
            "embedding_model": "text-embedding-3-small",
        },
    )["id"]
    insert("entitlements", service, {"user_id": owner.id, "plan": "premium"})
    ids = {
        "owner": owner.id,
        "stranger": stranger.id,
        "conversation": conversation,
        "theirs": theirs,
        "asked": begun["user_message"]["id"],
        "reply": reply,
        "document": document,
        "passage": passage,
        "new": str(uuid.uuid4()),
    }
    return Story(owner, stranger, anon, service, ids)


@pytest.fixture
def unchanged(connection: Connection, story: Story) -> Iterator[None]:
    """Whatever the test tries, no row of either person changes, appears or goes."""
    people = [story.owner.id, story.stranger.id]
    before = connection.execute(ROWS_OF, [people]).fetchall()
    assert before
    yield
    assert connection.execute(ROWS_OF, [people]).fetchall() == before


def refused(response: httpx.Response) -> None:
    assert response.status_code in (401, 403), response.text
    assert response.json()["code"] == "42501"


# ── writing what only the service may write, with the owner's own token ──────────────────────────────────────────

MESSAGE = {"conversation_id": "{conversation}", "user_id": "{owner}", "content": "forged"}
PASSAGE = {"document_id": "{document}", "user_id": "{owner}", "passage": 1, "content": "forged"}
PIECES = {"p_pieces": [{"id": "{reply}", "seq": 2, "text": "forged"}], "p_alive": ["{reply}"]}
FINALS = {"p_replies": [{"id": "{reply}", "content": "forged", "status": "complete"}]}
MERGE = "resolution=merge-duplicates"

FORGERIES: dict[str, tuple[str, str, Any]] = {
    "a reply": ("POST", "messages", {**MESSAGE, "role": "assistant", "status": "complete"}),
    "a user message": ("POST", "messages", {**MESSAGE, "role": "user"}),
    "a system message": ("POST", "messages", {**MESSAGE, "role": "system"}),
    "a message of somebody else": ("POST", "messages", {**MESSAGE, "user_id": "{stranger}", "role": "user"}),
    "a reply's text": ("PATCH", "messages?id=eq.{reply}", {"content": "forged"}),
    "a reply's status": ("PATCH", "messages?id=eq.{reply}", {"status": "complete"}),
    "a reply's usage": ("PATCH", "messages?id=eq.{reply}", {"prompt_tokens": 0, "completion_tokens": 0}),
    "a reply's sources": ("PATCH", "messages?id=eq.{reply}", {"sources": []}),
    "what was asked": ("PATCH", "messages?id=eq.{asked}", {"content": "forged"}),
    "a message's deletion": ("DELETE", "messages?id=eq.{reply}", None),
    "a plan": ("POST", "entitlements", {"user_id": "{owner}", "plan": "forever"}),
    "a plan's name": ("PATCH", "entitlements?user_id=eq.{owner}", {"plan": "forever"}),
    "a plan's end": ("PATCH", "entitlements?user_id=eq.{owner}", {"valid_until": None}),
    "a plan's deletion": ("DELETE", "entitlements?user_id=eq.{owner}", None),
    "a document": ("POST", "documents", {"user_id": "{owner}", "title": "forged"}),
    "a document's status": ("PATCH", "documents?id=eq.{document}", {"status": "ready"}),
    "a document's owner": ("PATCH", "documents?id=eq.{document}", {"user_id": "{stranger}"}),
    "a passage": ("POST", "embeddings", {**PASSAGE, "embedding": vector(1), "embedding_model": "forged"}),
    "a passage's text": ("PATCH", "embeddings?id=eq.{passage}", {"content": "forged"}),
    "a passage's deletion": ("DELETE", "embeddings?id=eq.{passage}", None),
    "a conversation of somebody else": ("POST", "conversations", {"user_id": "{new}", "title": "forged"}),
    "a conversation's owner": ("PATCH", "conversations?id=eq.{conversation}", {"user_id": "{stranger}"}),
    "a conversation's id": ("PATCH", "conversations?id=eq.{conversation}", {"id": "{new}"}),
    "a conversation's age": ("PATCH", "conversations?id=eq.{conversation}", {"created_at": "2020-01-01"}),
    "a journal write": ("POST", "rpc/journal_write", PIECES),
    "a reply's end": ("POST", "rpc/finish_replies", FINALS),
    "a recovery": ("POST", "rpc/recover_replies", {}),
}

every_forgery = pytest.mark.parametrize("forgery", FORGERIES)


@every_forgery
@pytest.mark.parametrize("who", ["owner", "stranger", "anon"])
@pytest.mark.usefixtures("unchanged")
def test_nobody_forges(http: httpx.Client, story: Story, who: str, forgery: str) -> None:
    method, path, body = FORGERIES[forgery]
    refused(ask(http, method, story.filled(path), story.headers_of(who), story.filled(body)))


@pytest.mark.usefixtures("unchanged")
def test_nobody_starts_a_conversation_for_another(http: httpx.Client, story: Story) -> None:
    body = {"user_id": story.owner.id, "title": "forged"}
    refused(ask(http, "POST", "conversations", story.stranger.headers, body))


@pytest.mark.parametrize("table", ["messages", "documents", "embeddings", "entitlements"])
@pytest.mark.usefixtures("unchanged")
def test_nobody_forges_by_merging(http: httpx.Client, story: Story, table: str) -> None:
    row = {"id": story.ids["reply"], "user_id": story.owner.id}
    body = {"user_id": story.owner.id, "plan": "forever"} if table == "entitlements" else row
    refused(ask(http, "POST", table, story.owner.headers, body, Prefer=MERGE))


@pytest.mark.usefixtures("unchanged")
def test_nobody_chooses_a_position(http: httpx.Client, story: Story) -> None:
    """The database refuses this whoever asks: the column is its own."""
    for method, path in (("POST", "conversations"), ("PATCH", f"conversations?id=eq.{story.ids['conversation']}")):
        response = ask(http, method, path, story.owner.headers, {"position": 1})
        assert (response.status_code, response.json()["code"]) == (400, "428C9")


# ── another's ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", ["conversations", "messages", "documents", "embeddings", "entitlements"])
def test_reading(http: httpx.Client, story: Story, table: str) -> None:
    path = f"{table}?select=*&user_id=eq.{story.owner.id}"
    own = ask(http, "GET", path, story.owner.headers).json()
    assert {row["user_id"] for row in own} == {story.owner.id}
    assert ask(http, "GET", path, story.stranger.headers).json() == []
    everything = ask(http, "GET", table, story.stranger.headers).json()
    assert {row["user_id"] for row in everything} <= {story.stranger.id}
    refused(ask(http, "GET", path, story.anon))


@pytest.mark.parametrize("embedded", ["conversations?select=*,messages(*)", "documents?select=*,embeddings(*)"])
def test_reading_through_relations(http: httpx.Client, story: Story, embedded: str) -> None:
    assert "secret" in ask(http, "GET", embedded, story.owner.headers).text
    assert "secret" not in ask(http, "GET", embedded, story.stranger.headers).text


def test_no_relation_leads_out_of_the_schema(http: httpx.Client, story: Story) -> None:
    response = ask(http, "GET", "conversations?select=*,users(*)", story.owner.headers)
    assert response.is_client_error, response.text


def test_counting(http: httpx.Client, story: Story) -> None:
    path = f"messages?select=id&user_id=eq.{story.owner.id}"
    for person, count in ((story.owner, 2), (story.stranger, 0)):
        response = ask(http, "HEAD", path, person.headers, Prefer="count=exact")
        assert response.headers["content-range"].endswith(f"/{count}")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "conversations?id=eq.{conversation}", {"title": "forged"}),
        ("DELETE", "conversations?id=eq.{conversation}", None),
        ("DELETE", "documents?id=eq.{document}", None),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_changing(http: httpx.Client, story: Story, method: str, path: str, body: Any) -> None:
    path = story.filled(path)
    response = ask(http, method, path, story.stranger.headers, body, Prefer="return=representation")
    assert (response.status_code, response.json()) == (200, [])
    refused(ask(http, method, path, story.anon, body))


@pytest.mark.usefixtures("unchanged")
def test_merging_into_another_s_conversation(http: httpx.Client, story: Story) -> None:
    row = {"id": story.ids["conversation"], "title": "forged"}
    refused(ask(http, "POST", "conversations", story.stranger.headers, row, Prefer=MERGE))
    refused(ask(http, "PUT", f"conversations?id=eq.{row['id']}", story.stranger.headers, row))


@pytest.mark.parametrize(
    "what",
    [
        {"p_conversation_id": "{conversation}", "p_content": "forged"},
        {"p_reply_to": "{asked}"},
        {"p_reply_to": "{reply}"},
        {"p_conversation_id": "{theirs}", "p_reply_to": "{reply}"},
    ],
    ids=["send", "answer again", "regenerate", "regenerate into one's own"],
)
@pytest.mark.usefixtures("unchanged")
def test_beginning_a_turn(http: httpx.Client, story: Story, what: dict[str, str]) -> None:
    body = {"p_writer": story.ids["new"], **story.filled(what)}
    response = ask(http, "POST", "rpc/begin_turn", story.stranger.headers, body)
    assert (response.status_code, response.json()["code"]) == (404, "PT404")
    refused(ask(http, "POST", "rpc/begin_turn", story.anon, body))


@pytest.mark.usefixtures("unchanged")
def test_a_key_is_one_s_own(http: httpx.Client, story: Story) -> None:
    """Another's key is neither taken nor tells anything: the turn is refused for what it is."""
    body = {"p_writer": story.ids["new"], "p_reply_to": story.ids["reply"], "p_idempotency_key": "k"}
    response = ask(http, "POST", "rpc/begin_turn", story.stranger.headers, body)
    assert response.json()["code"] == "PT404"


@pytest.mark.usefixtures("unchanged")
def test_following_and_stopping(http: httpx.Client, story: Story) -> None:
    reply = {"p_message_id": story.ids["reply"]}
    read = {**reply, "p_after": 0}
    own = ask(http, "POST", "rpc/read_reply", story.owner.headers, read)
    assert own.json()["text"] == "secret"
    foreign = ask(http, "POST", "rpc/read_reply", story.stranger.headers, read)
    assert (foreign.status_code, foreign.json()) == (200, None)
    response = ask(http, "POST", "rpc/stop_reply", story.stranger.headers, reply)
    assert (response.status_code, response.json()["code"]) == (404, "PT404")
    refused(ask(http, "POST", "rpc/read_reply", story.anon, read))
    refused(ask(http, "POST", "rpc/stop_reply", story.anon, reply))


def test_searching(http: httpx.Client, story: Story) -> None:
    search = {"query_embedding": vector(1), "match_threshold": -1, "match_count": 200}
    own = ask(http, "POST", "rpc/match_embeddings", story.owner.headers, search)
    assert [(row["id"], row["content"], row["similarity"]) for row in own.json()] == [
        (story.ids["passage"], "secret", 1)
    ]
    for forged in ({}, {"filter": {"user_id": story.owner.id}}):
        response = ask(http, "POST", "rpc/match_embeddings", story.stranger.headers, {**search, **forged})
        assert (response.status_code, response.json()) == (200, [])
    unknown = {**search, "user_id": story.owner.id}
    assert ask(http, "POST", "rpc/match_embeddings", story.stranger.headers, unknown).status_code == 404
    refused(ask(http, "POST", "rpc/match_embeddings", story.anon, search))


# ── what is not exposed ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("schema", ["private", "auth", "extensions", "realtime", "pg_catalog"])
@pytest.mark.usefixtures("unchanged")
def test_other_schemas_are_not_exposed(http: httpx.Client, story: Story, schema: str) -> None:
    for method, path in (("GET", "live_replies"), ("POST", "rpc/begin_turn")):
        header = "Accept-Profile" if method == "GET" else "Content-Profile"
        response = ask(http, method, path, story.owner.headers, {}, **{header: schema})
        assert (response.status_code, response.json()["code"]) == (406, "PGRST106")


@pytest.mark.parametrize(
    "path", ["live_replies", "idempotency_keys", "users", "rpc/lease", "rpc/turn_history", "rpc/set_updated_at"]
)
def test_internals_are_not_found(http: httpx.Client, story: Story, path: str) -> None:
    method = "POST" if path.startswith("rpc/") else "GET"
    assert ask(http, method, path, story.owner.headers, {}).status_code == 404


@pytest.mark.usefixtures("unchanged")
def test_reading_requests_begin_nothing(http: httpx.Client, story: Story) -> None:
    """A link or an image that somebody is made to load cannot write."""
    path = "rpc/begin_turn?p_content=forged&p_writer={new}&p_conversation_id={conversation}"
    assert ask(http, "GET", story.filled(path), story.owner.headers).status_code == 405


# ── what an owner may do ─────────────────────────────────────────────────────────────────────────────────────────


def test_owner_creates_renames_and_deletes(http: httpx.Client, story: Story) -> None:
    headers = story.owner.headers
    returned = {"Prefer": "return=representation"}
    [made] = ask(http, "POST", "conversations", headers, {"title": "a", "model": "m"}, **returned).json()
    assert (made["title"], made["model"], made["user_id"]) == ("a", "m", story.owner.id)
    path = f"conversations?id=eq.{made['id']}"
    [renamed] = ask(http, "PATCH", path, headers, {"title": "b", "model": None}, **returned).json()
    assert (renamed["title"], renamed["model"]) == ("b", None)
    [deleted] = ask(http, "DELETE", path, headers, **returned).json()
    assert deleted["id"] == made["id"]

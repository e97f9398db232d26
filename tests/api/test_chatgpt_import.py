"""ChatGPT's conversations.json becomes conversations: its branches, its steps as one reply, and no system messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.client import assert_problem, history, person_client
from tests.support.replica_client import eventually
from tests.support.service import Api, sign_up


@pytest.fixture
async def client(api: Api, stack: LocalSupabase) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(api, await sign_up(stack)) as opened:
        yield opened


def node(
    key: str, parent: str | None, children: list[str], role: str | None = None, *parts: Any, **content: Any
) -> tuple[str, dict[str, Any]]:
    message = None
    if role is not None:
        message = {
            "id": key,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": 1_700_000_000.5,
            "content": {"content_type": "text", "parts": list(parts)} | content,
            "recipient": "all",
            "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
        }
    return key, {"id": key, "message": message, "parent": parent, "children": children}


FILE: list[dict[str, Any]] = [
    {
        "title": "A trip",
        "id": "chat-1",
        "conversation_id": "chat-1",
        "create_time": 1_699_999_999.0,
        "current_node": "second",
        "mapping": dict(
            [
                node("root", None, ["system"]),
                node("system", "root", ["ask", "edited"], "system", ""),
                node("ask", "system", ["first", "thinking"], "user", "Where to?", {"content_type": "image"}),
                node("first", "ask", [], "assistant", "Rome."),
                node("thinking", "ask", ["tool"], "assistant", content_type="thoughts", thoughts=[{"content": "Hm."}]),
                node("tool", "thinking", ["half"], "tool", "found"),
                node("half", "tool", ["second"], "assistant", "Looked it up."),
                node("second", "half", ["thanks"], "assistant", "Paris."),
                node("thanks", "second", [], "user", "Thanks"),
                node("edited", "system", [], "user", "Where not to?"),
            ]
        ),
    }
]


async def send(client: httpx.AsyncClient, file: object) -> dict[str, Any]:
    response = await client.post("/v1/imports", json=file)
    assert response.status_code == 202, response.text
    state: dict[str, Any] = {}

    async def ended() -> bool:
        nonlocal state
        state = (await client.get(response.headers["location"])).json()
        return state["status"] != "running"

    await eventually(ended, within=60)
    return state


async def test_branches_and_steps(client: httpx.AsyncClient) -> None:
    state = await send(client, FILE)
    assert (state["status"], state["added_conversations"], state["added_messages"]) == ("complete", 1, 5)
    [item] = (await client.get("/v1/conversations")).json()["items"]
    assert (item["title"], item["created_at"][:10]) == ("A trip", "2023-11-14")
    shown = await history(client, item["id"])
    assert [(said["role"], said["content"], said["reasoning"]) for said in shown] == [
        ("user", "Where to?\n[attachment]", ""),
        ("assistant", "Looked it up.\n\nParis.", "Hm."),
        ("user", "Thanks", ""),
    ]
    assert (shown[1]["model"], shown[1]["usage"], shown[1]["status"]) == ("gpt-4o", None, "complete")
    assert [said["siblings"]["count"] for said in shown[:2]] == [2, 2]
    assert (await send(client, FILE))["added_messages"] == 0


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ([{"id": "x"}], "file[0].mapping: missing"),
        ([{"id": "x", "mapping": dict([node("a", "b", ["b"]), node("b", "a", ["a"])])}], "file[0].mapping: some nodes"),
        ([{"id": "x", "mapping": dict([node("a", None, ["a"])])}], "file[0].mapping: a is the child of several"),
        ([{"mapping": {}}], "file[0].id"),
        ([{"id": "x", "create_time": 1e99, "mapping": {}}], "file[0].create_time"),
    ],
)
async def test_refused_with_its_place(client: httpx.AsyncClient, file: object, place: str) -> None:
    problem = assert_problem(await client.post("/v1/imports", json=file), 422, "invalid_request")
    assert problem["detail"].startswith(place)

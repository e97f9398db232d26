"""Feedback: one thumb and comment on a reply, its owner's own, shown wherever the reply is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.client import assert_problem, history, new_conversation, turn


@pytest.fixture
async def reply(as_owner: httpx.AsyncClient) -> dict[str, Any]:
    return await turn(as_owner, await new_conversation(as_owner))


def path(message: dict[str, Any]) -> str:
    return f"/v1/messages/{message['id']}/feedback"


async def test_shown_with_the_message(as_owner: httpx.AsyncClient, reply: dict[str, Any]) -> None:
    assert reply["feedback"] is None
    said = {"rating": "down", "comment": "Not what I asked. 🙁"}
    response = await as_owner.put(path(reply), json=said)
    assert response.json() == reply | {"feedback": said}
    assert (await as_owner.get(f"/v1/messages/{reply['id']}")).json()["feedback"] == said
    question, listed = await history(as_owner, reply["conversation_id"])
    assert (question["feedback"], listed["feedback"]) == (None, said)


async def test_new_feedback_replaces_the_old(as_owner: httpx.AsyncClient, reply: dict[str, Any]) -> None:
    await as_owner.put(path(reply), json={"rating": "down", "comment": "Wrong."})
    response = await as_owner.put(path(reply), json={"rating": "up"})
    assert response.json()["feedback"] == {"rating": "up", "comment": None}


async def test_taken_back(as_owner: httpx.AsyncClient, reply: dict[str, Any]) -> None:
    await as_owner.put(path(reply), json={"rating": "up"})
    for _ in range(2):
        assert (await as_owner.delete(path(reply))).status_code == 204
    assert (await as_owner.get(f"/v1/messages/{reply['id']}")).json()["feedback"] is None


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"rating": "sideways"}, "rating: expected one of `down`, `up`"),
        ({"comment": "No thumb"}, "rating: missing"),
        ({"rating": "up", "comment": "  "}, "comment: expected text, got only blanks"),
        ({"rating": "up", "comment": "x" * 2001}, "comment: "),
        ({"rating": "up", "stars": 5}, "stars: no such field"),
    ],
)
async def test_refused(as_owner: httpx.AsyncClient, reply: dict[str, Any], body: dict[str, Any], detail: str) -> None:
    await as_owner.put(path(reply), json={"rating": "up", "comment": "x" * 2000})
    problem = assert_problem(await as_owner.put(path(reply), json=body), 422, "invalid_request")
    assert problem["detail"].startswith(detail)
    kept = (await as_owner.get(f"/v1/messages/{reply['id']}")).json()["feedback"]
    assert kept == {"rating": "up", "comment": "x" * 2000}


async def test_question_takes_none(as_owner: httpx.AsyncClient, reply: dict[str, Any]) -> None:
    refused = await as_owner.put(f"/v1/messages/{reply['parent_id']}/feedback", json={"rating": "up"})
    assert assert_problem(refused, 422, "invalid_request")["detail"] == "Feedback is given to replies only."

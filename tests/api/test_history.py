"""The history of a conversation: oldest first, page by page, replies with what they answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.client import history, new_conversation, reading, script, turn


def messages_path(conversation: str) -> str:
    return f"/v1/conversations/{conversation}/messages"


async def test_new_conversation_has_none(as_owner: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_owner)
    assert (await as_owner.get(messages_path(conversation))).json() == {"items": [], "next_cursor": None}


async def test_turn_is_a_message_and_its_reply(as_owner: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_owner)
    reply = await turn(as_owner, conversation, script(tokens=3))
    asked, answered = await history(as_owner, conversation)
    assert answered == reply
    assert {name: asked[name] for name in ("role", "content", "status", "parent_id", "conversation_id")} == {
        "role": "user",
        "content": script(tokens=3),
        "status": "complete",
        "parent_id": None,
        "conversation_id": conversation,
    }
    shown = ("role", "content", "status", "parent_id", "version", "provider", "model", "finish_reason", "error_code")
    assert {name: answered[name] for name in shown} == {
        "role": "assistant",
        "content": "tok0 tok1 tok2 ",
        "status": "complete",
        "parent_id": asked["id"],
        "version": 1,
        "provider": "openai",
        "model": "scripted-1",
        "finish_reason": "stop",
        "error_code": None,
    }
    assert answered["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_micro_usd": None,
    }


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_hold_each_once_oldest_first(as_owner: httpx.AsyncClient, limit: int) -> None:
    conversation = await new_conversation(as_owner)
    for number in range(3):
        await turn(as_owner, conversation, f"Message {number}")
    whole = [message["id"] for message in await history(as_owner, conversation)]
    assert len(whole) == 6
    seen: list[str] = []
    params: dict[str, Any] = {"limit": limit}
    while True:
        page = (await as_owner.get(messages_path(conversation), params=params)).json()
        seen += [message["id"] for message in page["items"]]
        assert len(seen) <= len(whole)
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 2:
            # what is said meanwhile comes at the end, and moves nothing
            reply = await turn(as_owner, conversation, "Meanwhile")
            whole += [reply["parent_id"], reply["id"]]
    assert seen == whole


async def test_turns_follow_each_other_and_are_sent_along(as_owner: httpx.AsyncClient, upstream: Any) -> None:
    conversation = await new_conversation(as_owner)
    await turn(as_owner, conversation, "First")
    second = script(id="sent-along")
    await turn(as_owner, conversation, second)
    contents = [(message["role"], message["content"]) for message in await history(as_owner, conversation)]
    assert contents == [
        ("user", "First"),
        ("assistant", "tok0 tok1 tok2 tok3 tok4 "),
        ("user", second),
        ("assistant", "tok0 tok1 tok2 tok3 tok4 "),
    ]
    [call] = upstream.calls_of("sent-along")
    asked = [(message["role"], message["content"]) for message in call.body["messages"]]
    assert asked == contents[:3]


async def test_other_conversations_are_not_sent_along(as_owner: httpx.AsyncClient, upstream: Any) -> None:
    await turn(as_owner, await new_conversation(as_owner), "Said elsewhere")
    await turn(as_owner, await new_conversation(as_owner), script(id="alone"))
    [call] = upstream.calls_of("alone")
    assert [message["content"] for message in call.body["messages"]] == [script(id="alone")]


async def test_streaming_reply_is_there_with_what_is_stored_of_it(as_owner: httpx.AsyncClient, upstream: Any) -> None:
    conversation = await new_conversation(as_owner)
    body = {"content": script(id="during", tokens=3, stepped=True)}
    async with reading(as_owner, "POST", messages_path(conversation), json=body) as reader:
        call = await upstream.call("during")
        call.step()
        await reader.until("delta")
        _, during = await history(as_owner, conversation)
        assert during["status"] == "streaming"
        assert during["usage"] is None
        one = (await as_owner.get(f"/v1/messages/{during['id']}")).json()
        assert (one["id"], one["status"]) == (during["id"], "streaming")
        call.step(2)
        transcript = await reader.to_end()
    after = (await as_owner.get(f"/v1/messages/{during['id']}")).json()
    assert transcript.text.startswith(during["content"])
    assert (after["status"], after["content"]) == ("complete", transcript.text)
    assert after == (await history(as_owner, conversation))[1]

"""Who may join Parley's topics: the owner alone; and nobody may send into them."""

from __future__ import annotations

import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone, Tokens, new_conversation, new_message
from tests.support.sockets import V1, V2, Socket


async def refusal(socket: Socket, topic: str, token: str | None = None) -> str:
    """Why the private topic cannot be joined."""
    answer = await socket.join(topic, private=True, token=token)
    assert answer["status"] == "error"
    return str(answer["response"]["reason"])


def unreadable(topic: str) -> str:
    return f"Unauthorized: You do not have permissions to read from this Channel topic: {topic}"


@pytest.mark.parametrize("version", [V1, V2])
async def test_the_owner_joins(connect: Connect, owner: Someone, conversation: str, version: str) -> None:
    async with connect(version) as socket:
        for topic in (f"conversation:{conversation}", owner.topic):
            answer = await socket.join(topic, private=True, token=owner.token)
            assert answer == {"status": "ok", "response": {"postgres_changes": []}}


async def test_a_stranger_is_refused(connect: Connect, owner: Someone, stranger: Someone, conversation: str) -> None:
    async with connect() as socket:
        for topic in (f"conversation:{conversation}", owner.topic):
            assert await refusal(socket, topic, stranger.token) == unreadable(topic)


async def test_anon_is_refused(
    stack: LocalSupabase, connect: Connect, owner: Someone, conversation: str, tokens: Tokens
) -> None:
    async with connect() as socket:
        for topic in (f"conversation:{conversation}", owner.topic):
            # the key as its own token, as clients do that have nobody signed in, and no token at all
            assert await refusal(socket, topic, stack.publishable_key) == unreadable(topic)
            assert await refusal(socket, topic) == unreadable(topic)
            # the right name in a role that has no rights
            assert await refusal(socket, topic, tokens.of(owner.id, role="anon")) == unreadable(topic)


async def test_the_service_sees_all(stack: LocalSupabase, connect: Connect, owner: Someone, conversation: str) -> None:
    """service_role is above row level security, on hosted projects too: its key stays on servers."""
    async with connect(key=stack.secret_key) as socket:
        assert (await socket.join(f"conversation:{conversation}", private=True))["status"] == "ok"


@pytest.mark.parametrize(
    "topic",
    [
        "conversation:",
        "conversation:not-an-id",
        "conversation:00000000-0000-4000-8000-000000000001",
        "conversation:{conversation}x",
        "CONVERSATION:{conversation}",
        " conversation:{conversation}",
        "conversation:{conversation}\nuser:{owner}",
        "user:",
        "user:{owner}:more",
        "user:00000000-0000-4000-8000-000000000001",
        "anything",
        "'; drop table public.messages; --",
    ],
)
async def test_other_topics_are_nobodys(connect: Connect, owner: Someone, conversation: str, topic: str) -> None:
    name = topic.format(conversation=conversation, owner=owner.id)
    async with connect() as socket:
        assert await refusal(socket, name, owner.token) == unreadable(name)


async def test_a_token_that_names_no_user(connect: Connect, tokens: Tokens, owner: Someone) -> None:
    async with connect() as socket:
        for claims in ({"sub": None}, {"sub": ""}, {"sub": "somebody"}, {"role": "no_such_role"}):
            assert await refusal(socket, owner.topic, tokens.of(owner.id, **claims)) == unreadable(owner.topic)
        # nor does a failed question leave anything behind
        assert (await socket.join(owner.topic, private=True, token=owner.token))["status"] == "ok"


async def test_a_public_channel_of_the_same_name_hears_nothing(
    connect: Connect, db: Connection, owner: Someone, stranger: Someone, conversation: str
) -> None:
    topic = f"conversation:{conversation}"
    async with connect() as listener, connect() as device:
        await listener.join(topic, token=stranger.token)
        await device.join(topic, private=True, token=owner.token)
        await new_message(db, owner, conversation)
        await device.next("broadcast")
        await listener.reply(await listener.push("phoenix", "heartbeat", {}))
        assert listener.unread("broadcast") == []


@pytest.mark.parametrize("version", [V1, V2])
async def test_a_clients_own_broadcast_reaches_nobody(
    connect: Connect, db: Connection, owner: Someone, conversation: str, version: str
) -> None:
    """What comes after it is what the database says, on the sender's device and on the other."""
    topic = f"conversation:{conversation}"
    async with connect(version) as sender, connect() as other:
        own = {"self": True, "ack": True}
        await sender.join(topic, private=True, token=owner.token, broadcast=own)
        await other.join(topic, private=True, token=owner.token)
        await sender.broadcast(topic, "message.delta", {"message_id": "forged", "seq": 1, "text": "forged"})
        if version == V2:
            await sender.push_binary(topic, "message.delta", b'{"text": "forged"}', is_json=True)
        await new_message(db, owner, conversation, "true")
        for socket in (sender, other):
            assert (await socket.next("broadcast")).sent["content"] == "true"
        assert sender.unread("phx_reply") == []


async def test_presence_in_them_is_nobodys(connect: Connect, owner: Someone, conversation: str) -> None:
    topic = f"conversation:{conversation}"
    async with connect() as socket:
        await socket.join(topic, private=True, token=owner.token, presence={"enabled": True, "key": "k"})
        ref = await socket.push(topic, "presence", {"type": "presence", "event": "track", "payload": {}})
        assert (await socket.reply(ref))["status"] == "error"
        assert socket.unread("presence_state") == []


async def test_another_users_conversation_is_not_made_readable_by_owning_some(
    connect: Connect, db: Connection, owner: Someone, stranger: Someone
) -> None:
    own, others = await new_conversation(db, owner), await new_conversation(db, stranger)
    async with connect() as socket:
        assert (await socket.join(f"conversation:{own}", private=True, token=owner.token))["status"] == "ok"
        assert await refusal(socket, f"conversation:{others}", owner.token) == unreadable(f"conversation:{others}")

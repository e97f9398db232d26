"""A channel lives no longer than its token; a new token takes over, if it may."""

from __future__ import annotations

import re
import time

import pytest

from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone, Tokens, new_message, soon
from tests.support.sockets import V1, V2, Socket


async def cut_off(socket: Socket, topic: str) -> str:
    """The channel is closed by the server; the reason."""
    system = await socket.next("system", "phx_close")
    assert system.event == "system"
    assert (system.payload["extension"], system.payload["status"]) == ("system", "error")
    assert system.payload["channel"] == topic
    assert (await socket.next("system", "phx_close")).event == "phx_close"
    return str(system.payload["message"])


@pytest.mark.parametrize("version", [V1, V2])
async def test_an_expired_token_is_cut_off(
    connect: Connect, db: Connection, tokens: Tokens, owner: Someone, conversation: str, version: str
) -> None:
    topic = f"conversation:{conversation}"
    async with connect(version) as socket, connect() as other:
        await other.join(topic, private=True, token=owner.token)
        expires = soon()
        await socket.join(topic, private=True, token=tokens.of(owner.id, exp=expires))
        await new_message(db, owner, conversation)
        assert (await socket.next()).event == "broadcast"
        assert (await other.next()).event == "broadcast"
        assert re.fullmatch(r"Token has expired [0-4] seconds ago", await cut_off(socket, topic))
        assert expires <= time.time() < expires + 5
        await new_message(db, owner, conversation, "later")
        assert (await other.next()).sent["content"] == "later"
        ref = await socket.push(topic, "phx_leave", {})
        await socket.reply(ref)
        assert socket.unread("broadcast") == []


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"seconds": -7000}, "InvalidJWTToken: Token has expired 70.. seconds ago"),
        ({"role": None}, "InvalidJWTToken: Fields `role` and `exp` are required in JWT"),
        ({"exp": "soon"}, "InvalidJWTToken: Fields `role` and `exp` are required in JWT"),
        (
            {"kid": "other"},
            r'JwtSignerError: Failed to generate JWT signer for key ID \(kid\) "other", '
            "check your JWT secret or JWKS configuration",
        ),
    ],
)
async def test_joining_with_a_bad_token(
    connect: Connect, tokens: Tokens, owner: Someone, claims: dict[str, object], reason: str
) -> None:
    async with connect() as socket:
        answer = await socket.join("room", token=tokens.of(owner.id, **claims))  # type: ignore[arg-type]
        assert answer["status"] == "error"
        assert re.fullmatch(reason, answer["response"]["reason"])


async def test_joining_with_a_forged_token(connect: Connect, owner: Someone) -> None:
    async with connect() as socket:
        answer = await socket.join("room", token=owner.token[:-6] + "AAAAAA")
        assert answer["response"]["reason"] == "JwtSignatureError: Failed to validate JWT signature"
        answer = await socket.join("room", token="nonsense")
        assert answer["response"]["reason"] == "MalformedJWT: The token provided is not a valid JWT"


async def test_a_new_token_prolongs_the_channel(
    connect: Connect, db: Connection, tokens: Tokens, owner: Someone, conversation: str
) -> None:
    topic = f"conversation:{conversation}"
    async with connect() as socket, connect() as witness:
        expires = soon()
        short = tokens.of(owner.id, exp=expires)
        await socket.join(topic, private=True, token=short)
        await witness.join(topic, private=True, token=short)
        await socket.push(topic, "access_token", {"access_token": owner.token})
        # once the witness has been cut off, so would the other have been
        await cut_off(witness, topic)
        await new_message(db, owner, conversation)
        assert (await socket.next()).event == "broadcast"


async def test_what_is_no_new_token_changes_nothing(
    connect: Connect, db: Connection, owner: Someone, conversation: str
) -> None:
    topic = f"conversation:{conversation}"
    async with connect() as socket:
        await socket.join(topic, private=True, token=owner.token)
        for token in (owner.token, None, "sb_publishable_whatever", 7):
            await socket.push(topic, "access_token", {"access_token": token})
        await socket.push(topic, "access_token", None)
        await new_message(db, owner, conversation)
        assert (await socket.next()).event == "broadcast"


async def test_a_new_token_that_may_not_read_ends_the_channel(
    connect: Connect, tokens: Tokens, owner: Someone, stranger: Someone, conversation: str
) -> None:
    topic = f"conversation:{conversation}"
    reasons = {
        stranger.token: f"You do not have permissions to read from this Channel topic: {topic}",
        tokens.of(owner.id, seconds=-7000): "Token has expired 70.. seconds ago",
        "nonsense": "The token provided is not a valid JWT",
    }
    async with connect() as socket:
        for token, reason in reasons.items():
            await socket.join(topic, private=True, token=owner.token)
            await socket.push(topic, "access_token", {"access_token": token})
            assert re.fullmatch(reason, await cut_off(socket, topic))


async def test_a_new_token_that_may_read_less_ends_the_channel(
    connect: Connect, db: Connection, owner: Someone, open_topics: None, tokens: Tokens
) -> None:
    """Presence was readable before and is not with the new token's role."""
    await db.execute(
        "create policy \"anon reads\" on realtime.messages for select to anon using (extension = 'broadcast')"
    )
    try:
        async with connect() as socket:
            presence = {"enabled": True, "key": "k"}
            await socket.join("test:open", private=True, token=owner.token, presence=presence)
            await socket.next("presence_state")
            await socket.push("test:open", "access_token", {"access_token": tokens.of(owner.id, role="anon")})
            reason = "You no longer have permission to read from this Channel topic: test:open"
            assert await cut_off(socket, "test:open") == reason
    finally:
        await db.execute('drop policy "anon reads" on realtime.messages')


async def test_a_new_token_is_asked_anew_for_sending(
    connect: Connect, db: Connection, owner: Someone, open_topics: None, tokens: Tokens
) -> None:
    await db.execute('create policy "anon reads" on realtime.messages for select to anon using (true)')
    try:
        async with connect() as socket:
            await socket.join("test:open", private=True, token=owner.token, broadcast={"self": True})
            await socket.broadcast("test:open", "first", {})
            assert (await socket.next()).payload["event"] == "first"
            await socket.push("test:open", "access_token", {"access_token": tokens.of(owner.id, role="anon")})
            await socket.broadcast("test:open", "second", {})
            await socket.push("test:open", "access_token", {"access_token": owner.token})
            await socket.broadcast("test:open", "third", {})
            assert (await socket.next()).payload["event"] == "third"
    finally:
        await db.execute('drop policy "anon reads" on realtime.messages')

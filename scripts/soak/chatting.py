"""Chatting: messages that are sent, edited, regenerated, stopped, left and resumed, on both protocols."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import aiohttp

from scripts.soak.book import Asked, Reading
from scripts.soak.member import LOST, GaveUp, Member, Reply, answered
from tests.support.chunks import ChatTranscript, new_id, said
from tests.support.replica_client import Event, Origin, Transcript, content, events

FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 500},
    {"status": 429, "retry_after": 1},
    {"break_after": 0},
    {"tokens": 12, "break_after": 6},
    {"tokens": 12, "silent_after": 0},
    {"tokens": 12, "silent_after": 5},
    {"raw": "<html><body>Bad gateway</body></html>"},
    {"raw": 'event: message_start\ndata: {"type": "message_start", "message": {"id": "m", "usage": {}}}\n\n'},
    {"raw": 'data: {"choices": [{"index": 0, "delta": {"content": "half of'},
)
"""What a provider does wrong: refuses, breaks off, falls silent, speaks another dialect, stops inside an event."""


def behaviour(member: Member, *, faults: bool = True) -> dict[str, Any]:
    """What the provider does to a message: usually it answers, at some pace; now and then it fails."""
    draw = member.chance.random()
    if faults and draw < 0.08:
        return dict(member.chance.choice(FAULTS))
    if draw < 0.3:
        return {"tokens": member.chance.randrange(40, 120), "gap": 0.1}  # a slow drip
    if draw < 0.5:
        return {"tokens": member.chance.randrange(20, 60), "gap": 0.02, "thoughts": ["let me see, ", f"{member.id} "]}
    return {"tokens": member.chance.randrange(1, 200)}


async def send(member: Member) -> None:
    """Send into a conversation and read the reply to its end, over as many connections as it takes."""
    conversation = await member.conversation()
    asked = member.asks("message", behaviour(member), conversation=conversation, key=new_id())
    await _sent(member, asked, member.body(asked))


async def edit(member: Member) -> None:
    """Send in the place of an earlier message: a branch."""
    conversation = await member.conversation()
    page = await member.request("history", "GET", f"/v1/conversations/{conversation}/messages?limit=20", also=[404])
    mine = [row for row in page.body.get("items", ()) if row["role"] == "user"]
    if mine:
        asked = member.asks("message", behaviour(member), conversation=conversation, key=new_id())
        await _sent(member, asked, member.body(asked, parent_id=member.chance.choice(mine)["parent_id"]))


async def send_and_wait(member: Member) -> None:
    """For the whole reply in one answer."""
    conversation = await member.conversation()
    asked = member.asks("message", behaviour(member, faults=False), conversation=conversation, key=new_id())
    reply = await _post(member, asked, {"Prefer": "wait"}, good=[200])
    if reply is None:
        return
    accepted(member, asked, reply.body["id"])
    read = Transcript(reply.body["content"], message_id=reply.body["id"])
    read.ending = Event(
        {"stopped": "stopped"}.get(reply.body["status"], "done"), None, {"status": reply.body["status"]}
    )
    if reply.body["status"] in ("failed", "interrupted"):
        read.ending = Event("error", None, {"status": reply.body["status"]})
    noted(member, asked, read, "waited")


async def send_and_leave(member: Member) -> None:
    """Take the 202, and come back for the reply, sometimes twice at the same time."""
    conversation = await member.conversation()
    asked = member.asks("message", behaviour(member), conversation=conversation, key=new_id())
    reply = await _post(member, asked, {}, good=[202])
    if reply is None:
        return
    message = reply.body["message"]["id"]
    accepted(member, asked, message)
    await asyncio.sleep(member.chance.random())
    devices = [Transcript(message_id=message) for _ in range(member.chance.choice([1, 1, 2]))]
    await asyncio.gather(*(read_on(member, asked, device, "followed") for device in devices))


async def regenerate(member: Member) -> None:
    """Ask again for a reply to a message that was answered."""
    mine = [one for one in member.book.asked if one.owner == member.id and one.kind == "message" and one.replies]
    mine = [one for one in mine[-30:] if one.conversation not in member.book.deleted]
    if not mine:
        return
    asked = member.chance.choice(mine)
    reply = member.chance.choice(sorted(asked.replies))
    at, began, read = member.on.other(), member.book.now, Transcript()
    try:
        async with member.streaming(at, "POST", f"/v1/messages/{reply}/regenerate", {}) as response:
            if response.status != 200:
                problem = await answered(response)
                if response.status in (404, 409):  # deleted meanwhile, or being written
                    member.note("regenerate", began, "ok")
                    return
                code, _ = member.refused("regenerate", began, "regenerate", problem)
                asked.unknown += code == "supabase_unavailable"
                return
            await _read(member, asked, response, read)
    except (aiohttp.ClientError, TimeoutError):
        member.note("regenerate", began, LOST)
        asked.unknown += read.message_id is None
    else:
        member.note("regenerate", began, "ok")
    if read.message_id is not None:
        await read_on(member, asked, read, "regenerated")


async def stop(member: Member) -> None:
    """Begin a long reply and stop it, on any replica; now and then one whose provider has fallen silent."""
    conversation = await member.conversation()
    silent = member.chance.random() < 0.2
    script = {"tokens": 300, "gap": 0.05} | ({"silent_after": 3} if silent else {})
    asked = member.asks("message", script, conversation=conversation, key=new_id())
    reply = await _post(member, asked, {}, good=[202])
    if reply is None:
        return
    message = reply.body["message"]["id"]
    accepted(member, asked, message)
    read = Transcript(message_id=message)
    reading = asyncio.create_task(read_on(member, asked, read, "stopped"))
    try:
        await asyncio.sleep(member.chance.uniform(0, 1.5))
        asked.stopped = True
        await member.request("stop", "POST", f"/v1/messages/{message}/stop", also=[404])
    finally:
        await reading


async def chat(member: Member) -> None:
    """The AI SDK's protocol: send, perhaps lose the connection, come back for what there is."""
    id = new_id()
    for _ in range(member.chance.choice([1, 2, 3])):
        message = new_id()
        asked = member.asks("chat", behaviour(member), key=message)
        body = {"id": id, "message": said(content(asked.script), message), "trigger": "submit-message"}
        read = await _chat_begun(member, asked, body, leaves=member.chance.random() < 0.3)
        deadline = time.monotonic() + member.patience
        while not _whole(read) and read.message_id is not None and time.monotonic() < deadline:
            replay = await _chat_resumed(member, id, read.message_id)
            read = replay or read
            if replay is None:
                await asyncio.sleep(0.2)
        if read.message_id is None:
            raise GaveUp("chat")
        status = read.metadata.get("status")
        member.book.readings.append(
            Reading(asked, read.message_id, read.text, "error" if read.error else "done", status, "chat")
        )


async def _chat_begun(member: Member, asked: Asked, body: dict[str, Any], *, leaves: bool) -> ChatTranscript:
    """Send until it is known what became of it; a message that is sent again under its id is the same one."""
    deadline = time.monotonic() + member.patience
    read = ChatTranscript()
    while read.message_id is None and time.monotonic() < deadline:
        at, began, read = member.on.other(), member.book.now, ChatTranscript()
        try:
            async with member.streaming(at, "POST", "/v1/chat", body) as response:
                if response.status != 200:
                    problem = await answered(response)
                    _, wait = member.refused("chat", began, "POST /v1/chat", problem)
                    await asyncio.sleep(wait)
                    continue
                async for piece in response.content.iter_any():
                    read.feed(piece)
                    if read.message_id is not None:
                        accepted(member, asked, read.message_id)
                    if leaves and read.text:
                        break
        except (aiohttp.ClientError, TimeoutError):
            member.note("chat", began, LOST)
        else:
            member.note("chat", began, "ok")
    return read


async def _chat_resumed(member: Member, id: str, message: str) -> ChatTranscript | None:
    """The reply of the chat from its beginning; None where there is nothing to resume."""
    read, at, began = ChatTranscript(), member.on.other(), member.book.now
    try:
        async with member.streaming(at, "GET", f"/v1/chat/{id}/stream") as response:
            if response.status == 204:
                # it is over: the stored message has it
                reply = await member.request("chat messages", "GET", f"/v1/chat/{id}/messages?limit=100")
                rows = [row for row in reply.body["items"] if row["id"] == message]
                if not rows or rows[0]["metadata"]["status"] == "streaming":
                    member.book.violated(f"chat {id}: nothing to resume, and {message} is {rows}")
                    return None
                row = rows[0]
                read.message_id, read.over, read.finish_reason = message, True, "stop"
                read.parts, read.metadata = row["parts"], row["metadata"]
                return read
            if response.status != 200:
                problem = await answered(response)
                _, wait = member.refused("chat resume", began, "GET /v1/chat/…/stream", problem)
                await asyncio.sleep(wait)
                return None
            async for piece in response.content.iter_any():
                read.feed(piece)
    except (aiohttp.ClientError, TimeoutError):
        member.note("chat resume", began, LOST)
        return None
    member.note("chat resume", began, "ok")
    return read if _whole(read) else None


def _whole(read: ChatTranscript) -> bool:
    """Whether the reply has ended for its reader. One that is told to come back later has it elsewhere."""
    return read.over and not read.metadata.get("resume")


async def _sent(member: Member, asked: Asked, body: dict[str, Any]) -> None:
    """Send and stream. What is lost or refused is sent again under its key, and the reply is read to its end."""
    deadline = time.monotonic() + member.patience
    path = f"/v1/conversations/{asked.conversation}/messages"
    read = Transcript()
    while read.message_id is None:
        at, began = member.on.other(), member.book.now
        try:
            async with member.streaming(at, "POST", path, body, {"Idempotency-Key": str(asked.key)}) as response:
                if response.status == 404 and asked.conversation in member.book.deleted:
                    member.note("send", began, "ok")
                    return
                if response.status != 200:
                    problem = await answered(response)
                    code, wait = member.refused("send", began, "send", problem)
                    if time.monotonic() > deadline:
                        raise GaveUp(code)
                    await asyncio.sleep(wait)
                    continue
                leaves = member.chance.randrange(1, 40) if member.chance.random() < 0.3 else None
                await _read(member, asked, response, read, began, leaves)
        except (aiohttp.ClientError, TimeoutError):
            member.note("send", began, LOST)
            if read.message_id is None and time.monotonic() > deadline:
                raise GaveUp(LOST) from None
            await asyncio.sleep(0.1)
        else:
            member.note("send", began, "ok")
    await read_on(member, asked, read, "sent")


async def read_on(member: Member, asked: Asked, read: Transcript, how: str) -> None:
    """Follow a reply to its end, over as many connections and replicas as it takes."""
    deadline = time.monotonic() + 2 * member.patience
    at: Origin | None = None
    while read.ending is None and time.monotonic() < deadline:
        at, began = member.on.other(at.url if at else None), member.book.now
        headers = {} if read.last_id is None else {"Last-Event-ID": str(read.last_id)}
        try:
            async with member.streaming(at, "GET", f"/v1/messages/{read.message_id}/stream", None, headers) as response:
                if response.status == 404 and asked.conversation in member.book.deleted:
                    member.note("follow", began, "ok")
                    return
                if response.status != 200:
                    problem = await answered(response)
                    _, wait = member.refused("follow", began, f"follow after {read.last_id}", problem)
                    await asyncio.sleep(wait)
                    continue
                leaves = member.chance.randrange(1, 60) if member.chance.random() < 0.2 else None
                await _read(member, asked, response, read, leaves=leaves)
        except (aiohttp.ClientError, TimeoutError):
            member.note("follow", began, LOST)
            await asyncio.sleep(0.1)
        else:
            member.note("follow", began, "ok")
    noted(member, asked, read, how)


async def _read(
    member: Member,
    asked: Asked,
    response: aiohttp.ClientResponse,
    read: Transcript,
    began: float | None = None,
    leaves: int | None = None,
) -> None:
    """Read until the connection ends, or leave after so many events."""
    async with aclosing(events(response)) as stream:
        async for event in stream:
            first = began is not None and event.name == "delta" and not read.text
            read.take(event)
            # what has been taken is kept; a reader without text has its transcript alone
            if read.message_id is not None:
                accepted(member, asked, read.message_id)
            if first and began is not None:
                member.book.firsts.append((began, member.book.now - began))
            if leaves is not None:
                leaves -= 1
                if leaves <= 0 and read.message_id is not None:
                    return


async def _post(member: Member, asked: Asked, headers: dict[str, str], *, good: list[int]) -> Reply | None:
    """Send under a key without streaming. None where the conversation was deleted meanwhile."""
    path = f"/v1/conversations/{asked.conversation}/messages"
    headers = {"Idempotency-Key": str(asked.key)} | headers
    # a reply that already ended is answered as it is, whatever was preferred
    reply = await member.request("send", "POST", path, member.body(asked), good=good, also=[404], headers=headers)
    if reply.status == 404:
        if asked.conversation not in member.book.deleted:
            member.book.violated(f"sending into {asked.conversation} was answered with 404")
        return None
    return reply


def accepted(member: Member, asked: Asked, reply: str) -> None:
    asked.accepted = True
    asked.replies.add(reply)


def noted(member: Member, asked: Asked, read: Transcript, how: str) -> None:
    ending = read.ending
    status = None
    if ending is not None:
        status = ending.data.get("status") or {"stopped": "stopped"}.get(ending.name)
    member.book.readings.append(
        Reading(asked, str(read.message_id), read.text, ending.name if ending else None, status, how)
    )

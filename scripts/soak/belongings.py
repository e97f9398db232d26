"""Belongings: documents, searches, passages in replies, exports, imports, estimates, deletions; and completions."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

import aiohttp

from scripts.soak.book import Reading
from scripts.soak.chatting import accepted, behaviour, read_on
from scripts.soak.member import LOST, GaveUp, Member, answered
from tests.support.replica_client import Transcript, content

TOPICS = ("the kitchen", "the garden", "the library", "the workshop", "the roof")
HEAD = {"type": "parley.export", "version": 1}


def word() -> str:
    """A word that occurs nowhere else."""
    return f"w{uuid.uuid4().hex[:12]}"


async def document(member: Member) -> None:
    """Store a document as JSON or as a file, wait for its index, find it, ask about it, and delete it as a rule."""
    needle, topic = word(), member.chance.choice(TOPICS)
    lines = [
        f"About {topic} of {member.id}: note {number}, {needle}." for number in range(member.chance.randrange(1, 40))
    ]
    text = "\n\n".join(lines)
    if member.chance.random() < 0.5:
        reply = await member.request("document", "POST", "/v1/documents", {"title": needle, "content": text})
    else:

        def form() -> aiohttp.FormData:
            made = aiohttp.FormData()
            made.add_field("file", f"# {topic}\n\n{text}".encode(), filename="notes.md", content_type="text/markdown")
            made.add_field("title", needle)
            return made

        reply = await member.request("document", "POST", "/v1/documents", data=form)
    id: str = reply.body["id"]
    member.book.documents[id] = member.id
    if await _indexed(member, id):
        found = await member.request(
            "search", "POST", "/v1/search", {"query": f"{topic} {needle}", "threshold": 0, "mode": "hybrid"}
        )
        if not any(item["document_id"] == id for item in found.body["items"]):
            member.book.violated(f"a search did not find document {id}, which is ready")
        await _ask_about(member, needle, topic)
    if member.chance.random() < 0.8:
        await member.request("document deletion", "DELETE", f"/v1/documents/{id}", also=[404])
        member.book.documents.pop(id)


async def _indexed(member: Member, id: str) -> bool:
    """Whether a document is ready; one that is not after a while is judged at the end."""
    deadline = time.monotonic() + 2 * member.patience
    while time.monotonic() < deadline:
        reply = await member.request("document state", "GET", f"/v1/documents/{id}")
        if reply.body["status"] in ("ready", "failed"):
            if reply.body["status"] == "failed":
                member.book.violated(f"document {id} failed: {reply.body['error']}")
            return bool(reply.body["status"] == "ready")
        await asyncio.sleep(0.3)
    return False


async def _ask_about(member: Member, needle: str, topic: str) -> None:
    """A turn that draws on the document."""
    conversation = await member.conversation()
    asked = member.asks("message", {"tokens": 20, "about": f"{topic} {needle}"}, conversation=conversation, key=word())
    headers = {"Idempotency-Key": str(asked.key)}
    path = f"/v1/conversations/{conversation}/messages"
    reply = await member.request("send", "POST", path, member.body(asked, use_rag=True), headers=headers, also=[404])
    if reply.status == 404:
        return
    read = Transcript(message_id=reply.body["message"]["id"])
    accepted(member, asked, str(read.message_id))
    await read_on(member, asked, read, "retrieved")
    sources = [event.data for event in read.events if event.name == "sources"]
    for item in (item for data in sources for item in data["items"]):
        if member.id not in item["excerpt"]:
            member.book.violated(f"a source of {member.id} is somebody else's: {item}")


async def find(member: Member) -> None:
    """Send a word, and find its conversation by it."""
    conversation, needle = await member.conversation(), word()
    asked = member.asks("message", {"tokens": 3, "about": needle}, conversation=conversation, key=needle)
    path = f"/v1/conversations/{conversation}/messages"
    reply = await member.request(
        "send", "POST", path, member.body(asked), headers={"Idempotency-Key": needle}, also=[404]
    )
    if reply.status == 404:
        return
    accepted(member, asked, reply.body["message"]["id"])
    found = await member.request("conversation search", "GET", f"/v1/conversations?q={needle}")
    if [item["id"] for item in found.body["items"]] != [conversation] and conversation not in member.book.deleted:
        member.book.violated(f"{needle} was not found in {conversation}: {found.body['items']}")
    await read_on(member, asked, Transcript(message_id=reply.body["message"]["id"]), "found")


async def export(member: Member) -> None:
    """Everything of mine, whole and of nobody else."""
    exported = await member.request("export", "GET", "/v1/export")
    lines = exported.body.rstrip("\n").split("\n")
    if json.loads(lines[-1])["type"] != "end":
        # it was cut, and says so by what is missing: it may be asked for again
        began = member.book.now
        if not member.book.excused("supabase_unavailable", began - 30, began):
            member.book.violated("an export has no end")
        return
    for line in lines:
        item = json.loads(line)
        reply = item["type"] == "message" and item["role"] == "assistant"
        if reply and item["content"] and member.id not in item["content"]:
            member.book.violated(f"an export of {member.id} has somebody else's message: {line[:300]}")


async def import_file(member: Member) -> None:
    """A file of one conversation, sent again until it is complete: it is there once."""
    needle, at = word(), "2026-01-02T03:04:05+00:00"
    items: list[dict[str, Any]] = [
        {"type": "conversation", "id": needle, "title": needle, "created_at": at},
        *(
            {
                "type": "message",
                "id": f"{needle}-{number}",
                "parent_id": f"{needle}-{number - 1}" if number else None,
                "role": "assistant" if number % 2 else "user",
                "content": f"{member.id} {needle} {number}",
                "created_at": at,
            }
            for number in range(12)
        ),
    ]
    file = "".join(json.dumps(item) + "\n" for item in (HEAD, *items, {"type": "end"})).encode()
    deadline = time.monotonic() + 4 * member.patience
    while time.monotonic() < deadline:
        begun = await member.request(
            "import", "POST", "/v1/imports", data=file, headers={"Content-Type": "application/x-ndjson"}, also=[409]
        )
        if begun.status == 409:  # the one before is running, or its process is gone and that is not yet known
            await asyncio.sleep(2)
            continue
        state = begun.body
        while state["status"] == "running" and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            state = (await member.request("import state", "GET", f"/v1/imports/{begun.body['id']}")).body
        if state["status"] == "complete":
            member.book.imports.append((member.id, needle))
            return


async def look(member: Member) -> None:
    """What a client asks for when it is opened."""
    await member.request("conversations", "GET", "/v1/conversations?limit=30")
    await member.request("models", "GET", "/v1/models")
    await member.request("usage", "GET", "/v1/usage")
    told = await member.request("estimate", "POST", "/v1/estimate", {"content": "How long may this be?"})
    if not told.body["prompt_tokens"] > 0:
        member.book.violated(f"an estimate without tokens: {told.body}")


async def delete_conversation(member: Member) -> None:
    """Delete a conversation, whatever is being written in it."""
    if len(member.conversations) < 3:
        return
    # the first one is home, where a device listens
    gone = member.conversations.pop(member.chance.randrange(1, len(member.conversations)))
    member.book.deleted.add(gone)
    await member.request("deletion", "DELETE", f"/v1/conversations/{gone}", also=[404])


async def completion(member: Member) -> None:
    """A completion of OpenAI's API, by a token or a personal key; now and then its reader leaves."""
    asked = member.asks("completion", behaviour(member))
    stream = member.chance.random() < 0.6
    body = {"model": "auto", "messages": [{"role": "user", "content": content(asked.script)}], "stream": stream}
    bearer = member.chance.choice([member.client.person.token, await _key(member)])
    headers = {"Authorization": f"Bearer {bearer}"}
    at, began = member.on.other(), member.book.now
    leaves = stream and member.chance.random() < 0.15
    text, ending = "", None
    try:
        async with member.streaming(at, "POST", "/openai/v1/chat/completions", body, headers) as response:
            if response.status != 200:
                problem = await answered(response)
                member.refused("completion", began, "completion", problem)
                return
            if not stream:
                whole = await response.json()
                accepted(member, asked, _reply_id(whole))
                text, ending = whole["choices"][0]["message"]["content"], "done"
            else:
                async for line in response.content:
                    event = line.decode().strip().removeprefix("data: ")
                    if event == "[DONE]":
                        ending = ending or "cut"
                    elif event.startswith("{"):
                        chunk = json.loads(event)
                        if "error" in chunk:
                            ending = "error"
                        else:
                            accepted(member, asked, _reply_id(chunk))
                        for choice in chunk.get("choices", ()):
                            text += choice["delta"].get("content") or ""
                            ending = "done" if choice.get("finish_reason") else ending
                    if leaves and text:
                        asked.stopped = True
                        break
    except (aiohttp.ClientError, TimeoutError):
        member.note("completion", began, LOST)
    else:
        member.note("completion", began, "ok")
    member.book.readings.append(Reading(asked, "", text, ending, None, "completion"))


def _reply_id(answer: dict[str, Any]) -> str:
    """The id that a completion has in the ledger."""
    return str(uuid.UUID(answer["id"].removeprefix("chatcmpl-")))


async def _key(member: Member) -> str:
    """A personal key of mine; now and then an old one is revoked."""
    if len(member.keys) >= 3:
        old = member.keys.pop(0)
        await member.request("key revocation", "DELETE", f"/v1/keys/{old['id']}", also=[404])
    if not member.keys or member.chance.random() < 0.2:
        reply = await member.request("key", "POST", "/v1/keys", {"name": "soak"})
        member.keys.append(reply.body)
    key: str = member.chance.choice(member.keys)["key"]
    return key


async def pry(member: Member, messages: list[str], conversations: list[str]) -> None:
    """Ask for what belongs to others, on every way there is: nothing comes."""
    began = member.book.now
    try:
        if messages:
            message = member.chance.choice(messages)
            for path in (f"/v1/messages/{message}", f"/v1/messages/{message}/stream"):
                await member.request("prying", "GET", path, good=[404])
        if conversations:
            conversation = member.chance.choice(conversations)
            for path in ("", "/messages", "/export"):
                await member.request("prying", "GET", f"/v1/conversations/{conversation}{path}", good=[404])
        stack = member.on.stack
        headers = member.client.person.headers | {"apikey": stack.publishable_key}
        url = f"{stack.url}/rest/v1/messages?select=id,user_id&limit=1000"
        async with member.client.session.get(url, headers=headers) as response:
            if response.status == 200:
                others = [row for row in await response.json() if row["user_id"] != member.id]
                if others:
                    member.book.violated(f"the Data API gave {member.id} rows of others: {others[:3]}")
    except aiohttp.ClientError:
        member.note("prying", began, LOST)
    except GaveUp as error:
        member.note("prying", began, str(error))

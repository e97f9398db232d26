"""Sends, edits, regenerations, switches, deletions and stops from two devices, beside a model of the tree.

After each step the same is in four places: in the model, on both devices (one reads over REST from one replica or the
other, one hears of changes over Realtime alone), in the database, and in what the provider was sent.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import NewClient
from tests.realtime.people import Connection
from tests.support.cluster import Cluster
from tests.support.device import Device, running
from tests.support.replica_client import Client, eventually
from tests.support.service import Api
from tests.support.upstream import Upstream

THOROUGH = os.environ.get("PARLEY_THOROUGH") == "1"
PROFILE = settings(
    max_examples=100 if THOROUGH else 8,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    # what is shorter is no clearer here, and each try takes seconds
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PATIENCE_SECONDS = 30.0
"""How long a step may take to be everywhere; nothing waits for longer than it has to."""

Kind = Literal["send", "follow", "edit", "anew", "both", "regenerate", "switch", "delete", "stop", "finish"]
KINDS: tuple[Kind, ...] = (
    *("send", "send", "follow", "edit", "anew", "both"),
    *("regenerate", "regenerate", "switch", "switch", "delete", "stop", "finish"),
)


@dataclass(frozen=True)
class Step:
    """What one of the devices does. `which` chooses among the messages that there are; a reply that is `held` goes on
    streaming until it is stopped, finished or deleted."""

    kind: Kind
    device: int
    which: int
    held: bool


OPENING = tuple(
    Step(kind, device, which, held=False)
    for kind, device, which in (
        *(("send", 0, 0), ("send", 1, 0), ("send", 0, 0), ("edit", 1, 1), ("send", 1, 0), ("switch", 0, 3)),
        *(("follow", 1, 3), ("anew", 0, 0), ("regenerate", 1, 1), ("switch", 0, 2), ("switch", 1, 7), ("delete", 0, 6)),
    )
)
"""Each scenario begins with a tree that has something on every side."""

steps = st.lists(
    st.builds(Step, st.sampled_from(KINDS), st.integers(0, 1), st.integers(0, 999), st.booleans()),
    min_size=12,
    max_size=40 if THOROUGH else 16,
)


@dataclass
class Node:
    """A message of the model."""

    id: str
    parent: str | None
    role: str
    content: str
    status: str = "complete"
    marker: str = ""
    """Of a reply: which call of the provider writes it."""


@dataclass
class Tree:
    """What a conversation is, in a few lines: nodes in the order of their creation, and the one that is shown."""

    nodes: dict[str, Node] = field(default_factory=dict)
    head: str | None = None

    def children(self, parent: str | None) -> list[Node]:
        return [node for node in self.nodes.values() if node.parent == parent]

    def path(self, to: str | None) -> list[Node]:
        """From the beginning to this message."""
        if to is None:
            return []
        return [*self.path(self.nodes[to].parent), self.nodes[to]]

    def leaf(self, of: str) -> str:
        below = self.children(of)
        return self.leaf(below[-1].id) if below else of

    def below(self, of: str) -> list[str]:
        return [of, *itertools.chain.from_iterable(self.below(child.id) for child in self.children(of))]

    def add(self, node: Node) -> None:
        self.nodes[node.id] = node
        self.head = node.id

    def switch(self, to: str) -> None:
        if to not in [node.id for node in self.path(self.head)]:
            self.head = self.leaf(to)

    def delete(self, message: str) -> None:
        gone = self.below(message)
        parent = self.nodes[message].parent
        brothers = [node.id for node in self.children(parent)]
        place = brothers.index(message)
        for each in gone:
            del self.nodes[each]
        if self.head in gone:
            beside = [*brothers[:place][::-1], *brothers[place + 1 :]]
            self.head = self.leaf(beside[0]) if beside else parent

    def may_be_followed(self, message: str) -> bool:
        node = self.nodes[message]
        return node.role == "assistant" or not any(child.role == "assistant" for child in self.children(message))

    def siblings(self, message: str) -> dict[str, Any] | None:
        ids = [node.id for node in self.children(self.nodes[message].parent)]
        place = ids.index(message)
        if len(ids) == 1:
            return None
        return {
            "index": place + 1,
            "count": len(ids),
            "previous_id": ids[place - 1] if place else None,
            "next_id": ids[place + 1] if place + 1 < len(ids) else None,
        }

    def prompt(self, asked: str) -> list[tuple[str, str]]:
        """What a provider is to be sent: the branch, without what has no text or is not over."""
        merged: list[tuple[str, str]] = []
        for node in self.path(asked):
            if node.status == "streaming" or not node.content:
                continue
            if merged and merged[-1][0] == node.role:
                merged[-1] = (node.role, f"{merged[-1][1]}\n\n{node.content}")
            else:
                merged.append((node.role, node.content))
        return merged


class Scenario:
    """One conversation, played."""

    def __init__(
        self, replicas: tuple[Api, Api], client: Client, listening: Device, db: Connection, upstream: Upstream, id_: str
    ) -> None:
        self.tree = Tree()
        self._replicas = replicas
        self._client = client
        self._listening = listening
        self._db = db
        self._upstream = upstream
        self._id = id_
        self._markers: set[str] = set()

    async def play(self, step: Step) -> None:
        nodes = list(self.tree.nodes.values())
        api = self._replicas[step.device]
        chosen = nodes[step.which % len(nodes)] if nodes else None
        match step.kind:
            case "send":
                await self._send(api, step.held, self.tree.head)
            case "anew":
                await self._send(api, step.held, None, parent_id=None)
            case "follow" if chosen is not None:
                await self._send(api, step.held, chosen.id, parent_id=chosen.id)
            case "edit" if said := [node for node in nodes if node.role == "user"]:
                parent = said[step.which % len(said)].parent
                await self._send(api, step.held, parent, parent_id=parent)
            case "both":
                await self._both(step.held)
            case "regenerate" if chosen is not None:
                await self._regenerate(api, step.held, chosen)
            case "switch" if chosen is not None:
                status, body = await self._call(api, "PATCH", f"/v1/conversations/{self._id}", {"head_id": chosen.id})
                assert status == 200, body
                self.tree.switch(chosen.id)
            case "delete" if chosen is not None:
                status, body = await self._call(api, "DELETE", f"/v1/messages/{chosen.id}")
                assert status == 204, body
                self.tree.delete(chosen.id)
            case "stop" | "finish" if streaming := [node for node in nodes if node.status == "streaming"]:
                await self._end(api, step.kind, streaming[step.which % len(streaming)])
            case _:
                return
        await self.agrees()

    async def end(self) -> None:
        """Of what was deleted nothing is written any more; the rest comes to its end."""
        streaming = [node for node in self.tree.nodes.values() if node.status == "streaming"]
        await eventually(lambda: self._open_calls() == len(streaming), PATIENCE_SECONDS)
        for node in streaming:
            await self._end(self._replicas[0], "finish", node)
        await self.agrees()

    def _open_calls(self) -> int:
        calls = [call for marker in self._markers for call in self._upstream.calls_of(marker)]
        return sum(call.ended_at is None for call in calls)

    # ── what devices do ──────────────────────────────────────────────────────────────────────────────────────────

    async def _call(self, api: Api, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        status, answer, _ = await self._client.call(api, method, path, body, **headers)
        return status, answer

    def _script(self, held: bool) -> tuple[str, str, str]:
        """A marker, a message with it, and what will be said to it."""
        marker = uuid.uuid4().hex
        self._markers.add(marker)
        pieces = [f"Reply {len(self._markers)}", ", and more"]
        return marker, json.dumps({"id": marker, "pieces": pieces, "stepped": held}), "".join(pieces)

    async def _send(self, api: Api, held: bool, parent: str | None, **place: str | None) -> None:
        marker, content, reply = self._script(held)
        path = f"/v1/conversations/{self._id}/messages"
        headers = {} if held else {"Prefer": "wait"}
        status, body = await self._call(api, "POST", path, {"content": content, **place}, **headers)
        if place.get("parent_id") is not None and not self.tree.may_be_followed(str(parent)):
            assert (status, body["code"]) == (422, "invalid_request")
            return
        await self._begun(status, body, parent, content, marker, reply)

    async def _begun(self, status: int, body: Any, parent: str | None, content: str, marker: str, reply: str) -> None:
        assert status in (200, 202), body
        message = body["message"] if status == 202 else body
        self.tree.add(Node(message["parent_id"], parent, "user", content))
        await self._answered(status, message, marker, reply)

    async def _answered(self, status: int, message: Any, marker: str, reply: str) -> None:
        asked = message["parent_id"]
        sent = self.tree.prompt(asked)
        if status == 200:
            assert (message["status"], message["content"]) == ("complete", reply)
            self.tree.add(Node(message["id"], asked, "assistant", reply, marker=marker))
        else:
            assert message["status"] == "streaming"
            self.tree.add(Node(message["id"], asked, "assistant", reply, "streaming", marker))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._upstream.call(marker)
        call = self._upstream.calls_of(marker)[-1]
        assert [(each["role"], each["content"]) for each in call.body["messages"]] == sent

    async def _both(self, held: bool) -> None:
        """Both devices continue what they show, at the same moment."""
        head = self.tree.head
        if head is not None and not self.tree.may_be_followed(head):
            return
        scripts = [self._script(held) for _ in range(2)]
        path = f"/v1/conversations/{self._id}/messages"
        headers = {} if held else {"Prefer": "wait"}
        answers = await asyncio.gather(
            *(
                self._call(api, "POST", path, {"content": content, "parent_id": head}, **headers)
                for api, (_, content, _) in zip(self._replicas, scripts, strict=True)
            )
        )
        messages = [body["message"] if status == 202 else body for status, body in answers]
        order = {
            str(row["id"]): place
            for place, row in enumerate(
                await self._rows("select id from public.messages where conversation_id = %s order by position")
            )
        }
        # one of them came first
        for place in sorted(range(2), key=lambda place: order[messages[place]["id"]]):
            (marker, content, reply), (status, body) = scripts[place], answers[place]
            await self._begun(status, body, head, content, marker, reply)

    async def _regenerate(self, api: Api, held: bool, chosen: Node) -> None:
        asked = chosen if chosen.role == "user" else self.tree.nodes[str(chosen.parent)]
        script = json.loads(asked.content)
        busy = any(node.role == "assistant" and node.status == "streaming" for node in self.tree.children(asked.id))
        # whether the provider holds this reply, too, is said in the message
        headers = {} if script["stepped"] else {"Prefer": "wait"}
        calls = len(self._upstream.calls_of(script["id"]))
        status, body = await self._call(api, "POST", f"/v1/messages/{chosen.id}/regenerate", {}, **headers)
        if busy:
            assert (status, body["code"]) == (409, "conflict")
            return
        assert status in (200, 202), body
        await eventually(lambda: len(self._upstream.calls_of(script["id"])) > calls, PATIENCE_SECONDS)
        message = body["message"] if status == 202 else body
        await self._answered(status, message, script["id"], "".join(script["pieces"]))

    async def _end(self, api: Api, kind: Literal["stop", "finish"], node: Node) -> None:
        call = self._upstream.calls_of(node.marker)[-1]
        whole = node.content
        if kind == "finish":
            call.step(2)
        else:
            status, body = await self._call(api, "POST", f"/v1/messages/{node.id}/stop")
            assert status in (200, 202), body

        async def over() -> bool:
            return bool((await self._client.message(api, node.id))["status"] != "streaming")

        await eventually(over, PATIENCE_SECONDS)
        row = await self._client.message(api, node.id)
        assert row["status"] == ("complete" if kind == "finish" else "stopped")
        assert whole.startswith(row["content"])
        assert kind == "stop" or row["content"] == whole
        node.status, node.content = row["status"], row["content"]

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────

    async def agrees(self) -> None:
        path = self.tree.path(self.tree.head)
        await self._database_holds()
        for device, api in enumerate(self._replicas):
            await self._device_shows(api, path, backward=device == 1)
        await self._hears([node.id for node in path])

    async def _rows(self, query: str) -> list[dict[str, Any]]:
        cursor = await self._db.execute(query, [self._id])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]

    async def _database_holds(self) -> None:
        rows = await self._rows(
            "select id::text, parent_id::text, role, content, status from public.messages "
            "where conversation_id = %s order by position"
        )
        assert [(row["id"], row["parent_id"], row["role"], row["status"]) for row in rows] == [
            (node.id, node.parent, node.role, node.status) for node in self.tree.nodes.values()
        ]
        for row in rows:
            if row["status"] != "streaming":
                assert row["content"] == self.tree.nodes[row["id"]].content

    def _preview(self) -> str | None:
        texts = [
            node.content for node in self.tree.path(self.tree.head)[-2:] if node.content and node.status != "streaming"
        ]
        return texts[-1][:200] if texts else None

    async def _device_shows(self, api: Api, path: list[Node], *, backward: bool) -> None:
        shown: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = f"?limit={3 if backward else 100}&order={'desc' if backward else 'asc'}{cursor}"
            status, page = await self._call(api, "GET", f"/v1/conversations/{self._id}/messages{query}")
            assert status == 200, page
            shown += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        for message, node in zip(shown[::-1] if backward else shown, path, strict=True):
            assert (message["id"], message["parent_id"], message["role"]) == (node.id, node.parent, node.role)
            assert message["status"] == node.status
            assert node.content.startswith(message["content"])
            assert node.status == "streaming" or message["content"] == node.content
            assert message["siblings"] == self.tree.siblings(node.id)
        status, row = await self._call(api, "GET", f"/v1/conversations/{self._id}")
        assert status == 200, row
        told = (row["head_id"], row["message_count"], row["preview"])
        assert told == (self.tree.head, len(self.tree.nodes), self._preview())
        status, page = await self._call(api, "GET", "/v1/conversations?limit=1")
        # of its fields a list leaves out one
        assert page["items"] == [{name: value for name, value in row.items() if name != "instructions"}]

    async def _hears(self, ids: list[str]) -> None:
        def same() -> bool:
            held = self._listening
            return held.shown == ids and all(
                held.messages[id_].status == self.tree.nodes[id_].status
                and (
                    held.messages[id_].status == "streaming"
                    or held.messages[id_].content == self.tree.nodes[id_].content
                )
                for id_ in ids
            )

        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._listening.until(same)


@pytest.mark.timeout(3600 if THOROUGH else 400)
async def test_everywhere_the_same(
    stack: LocalSupabase, service: Cluster, new_client: NewClient, replicas: tuple[Api, Api], db: Connection
) -> None:
    loop = asyncio.get_running_loop()

    async def scenario(played: list[Step]) -> None:
        client = await new_client()
        conversation = await client.new_conversation(replicas[0])
        async with running(Device(stack, client, replicas[0], conversation)) as listening:
            await listening.joined()
            playing = Scenario(replicas, client, listening, db, service.upstream, conversation)
            for step in (*OPENING, *played):
                await playing.play(step)
            await playing.end()

    @PROFILE
    @given(steps)
    def play(played: list[Step]) -> None:
        asyncio.run_coroutine_threadsafe(scenario(played), loop).result()

    # hypothesis waits for each example, and the loop of the devices goes on meanwhile
    await asyncio.to_thread(play)

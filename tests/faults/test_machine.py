"""Anything in any order: sends, repeated sends, readers that leave and resume, stops, regenerations, kill -9, restarts
and database outages, on two replicas, for two users. What must hold then is at the end of this file.

A few scenarios by default, always the same ones; PARLEY_THOROUGH=1 plays many, new ones each time.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from scripts.local_supabase import LocalSupabase
from tests.faults.world import Device, Slot, World
from tests.support.replica_client import Client, Transcript, content
from tests.support.rows import Rows
from tests.support.upstream import Call

THOROUGH = os.environ.get("PARLEY_THOROUGH") == "1"
LEASE_SECONDS = 3
"""Shorter than in earnest, so that the dead are recovered within a scenario."""
MOST_KILLS = 2

PROFILE = settings(
    max_examples=200 if THOROUGH else 6,
    stateful_step_count=25 if THOROUGH else 15,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    # a scenario cannot be played twice alike, so there is nothing to shrink
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

replicas = st.integers(0, 1)
people = st.integers(0, 1)
any_one = st.integers(0, 99)


@dataclass
class Asked:
    """A message that somebody sent, perhaps several times under one key."""

    person: int
    script: dict[str, Any]
    key: str | None
    accepted: bool = False
    unknown: int = 0
    """Requests that may or may not have begun a reply: their connection was lost, or the database's was."""
    replies: set[str] = field(default_factory=set)
    user_message_id: str | None = None

    @property
    def marker(self) -> str:
        return str(self.script["id"])

    @property
    def whole(self) -> str:
        """What the provider says to it."""
        count = self.script["tokens"]
        return Call({}, self.script, 0.0, sent=count).text

    @property
    def reasoning(self) -> str:
        """What it thinks before that."""
        return "".join(self.script["thoughts"])


class Replies(RuleBasedStateMachine):
    world: World
    rows: Rows

    @initialize()
    def begin(self) -> None:
        self.clients: list[Client] = [self.world.run(self.world.client()) for _ in range(2)]
        self.conversations: list[str] = []
        for client in self.clients:
            self.conversations.append(self.world.run(client.new_conversation(self._alive())))
        self.asked: list[Asked] = []
        self.reading: list[tuple[Asked, Device]] = []
        self.stopping: list[Any] = []
        self.kills = 0
        for person in range(2):  # nothing else can happen without a reply
            self.send(person, at=person, keyed=True, thoughts=10 * person, tokens=60, gap=0.05)

    # ── what users do ────────────────────────────────────────────────────────────────────────────────────────────

    @rule(
        person=people,
        at=replicas,
        keyed=st.booleans(),
        thoughts=st.integers(0, 20),
        tokens=st.integers(0, 80),
        gap=st.sampled_from([0, 0.05]),
    )
    def send(self, person: int, at: int, keyed: bool, thoughts: int, tokens: int, gap: float) -> None:
        script = {"id": uuid.uuid4().hex, "tokens": tokens, "gap": gap, "token": f"person-{person} {{}} 😀 "}
        script["thoughts"] = [f"person-{person} thinks é{number} " for number in range(thoughts)]
        asked = Asked(person, script, uuid.uuid4().hex if keyed else None)
        self.asked.append(asked)
        self._send(asked, at)

    @precondition(lambda self: any(asked.key for asked in self.asked))
    @rule(which=any_one, at=replicas)
    def send_again(self, which: int, at: int) -> None:
        keyed = [asked for asked in self.asked if asked.key]
        self._send(keyed[which % len(keyed)], at)

    @precondition(lambda self: any(asked.key and asked.accepted for asked in self.asked))
    @rule(which=any_one, at=replicas)
    def send_something_else_under_the_same_key(self, which: int, at: int) -> None:
        keyed = [asked for asked in self.asked if asked.key and asked.accepted]
        asked = keyed[which % len(keyed)]
        device = self._device(Transcript(), self._sending(asked, at, {"id": "another", "tokens": 1}))
        assert device.refusal is not None
        assert device.refusal.code in ("idempotency_mismatch", "supabase_unavailable", None)

    @precondition(lambda self: self.reading)
    @rule(which=any_one)
    def leave(self, which: int) -> None:
        _, device = self.reading[which % len(self.reading)]
        self.world.run(_leave(device))

    @precondition(lambda self: self.reading)
    @rule(which=any_one, at=replicas)
    def resume(self, which: int, at: int) -> None:
        asked, device = self.reading[which % len(self.reading)]
        held = device.transcript.copy()
        self._resume(asked, held, at)

    @precondition(lambda self: any(asked.replies for asked in self.asked))
    @rule(which=any_one, at=replicas)
    def stop(self, which: int, at: int) -> None:
        asked, reply = self._any_reply(which)
        slot = self.world.slots[at]
        if slot.alive:
            # not waited for: the writer answers when the end is stored, and the database may be away
            self.stopping.append(self.world.spawn(self.clients[asked.person].stop(slot, reply)))

    @precondition(lambda self: any(asked.replies for asked in self.asked))
    @rule(which=any_one, at=replicas)
    def regenerate(self, which: int, at: int) -> None:
        asked, reply = self._any_reply(which)
        client = self.clients[asked.person]
        device = self._device(Transcript(), client.regenerating(self.world.slots[at], reply))
        if device.refusal is None:
            self._accepted(asked, device)
        else:
            assert device.refusal.code in ("conflict", "supabase_unavailable", None), device.refusal
            asked.unknown += device.refusal.code != "conflict"

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        self.world.sleep(seconds)

    # ── what happens to the machines ─────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.kills < MOST_KILLS)
    @rule(at=replicas)
    def kill(self, at: int) -> None:
        if self.world.slots[at].alive:
            self.kills += 1
            self.world.slots[at].api.kill()

    @precondition(lambda self: any(not slot.alive for slot in self.world.slots))
    @rule()
    def restart(self) -> None:
        for slot in self.world.slots:
            if not slot.alive:
                self.world.restart(slot)

    @rule(at=replicas, seconds=st.sampled_from([0.2, 1.0, LEASE_SECONDS + 1.0]))
    def lose_the_database(self, at: int, seconds: float) -> None:
        """For that long, while everything else goes on."""
        self.world.lose_database(self.world.slots[at], seconds)

    # ── how that is done ─────────────────────────────────────────────────────────────────────────────────────────

    def _alive(self) -> Slot:
        for slot in self.world.slots:
            if not slot.alive:
                self.world.restart(slot)
            self.world.call(slot.database.up)
        return self.world.slots[0]

    def _sending(self, asked: Asked, at: int, script: object) -> Any:
        headers = {"Idempotency_Key": asked.key} if asked.key else {}
        client, conversation = self.clients[asked.person], self.conversations[asked.person]
        return client.sending(self.world.slots[at], conversation, script, **headers)

    def _send(self, asked: Asked, at: int) -> None:
        device = self._device(Transcript(), self._sending(asked, at, asked.script))
        if device.refusal is not None:
            assert device.refusal.code in ("supabase_unavailable", None), device.refusal
            asked.unknown += 1
            return
        if asked.accepted:
            assert device.headers["idempotency-replayed"] == "true"
        self._accepted(asked, device)

    def _accepted(self, asked: Asked, device: Device) -> None:
        asked.accepted = True
        asked.replies.add(str(device.transcript.message_id))
        asked.user_message_id = device.transcript.user_message_id
        self.reading.append((asked, device))

    def _resume(self, asked: Asked, held: Transcript, at: int) -> Device:
        request = self.clients[asked.person].following(self.world.slots[at], str(held.message_id), held.last_id)
        device = self._device(held, request)
        if device.refusal is None:
            self.reading.append((asked, device))
        else:
            assert device.refusal.code in ("supabase_unavailable", "rate_limited", None), device.refusal
        return device

    def _device(self, transcript: Transcript, request: Any) -> Device:
        return self.world.device(transcript, request)

    def _any_reply(self, which: int) -> tuple[Asked, str]:
        replies = [(asked, reply) for asked in self.asked for reply in sorted(asked.replies)]
        return replies[which % len(replies)]

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────

    def teardown(self) -> None:
        if not hasattr(self, "asked"):
            return
        self.world.settle()
        for stopping in self.stopping:
            with suppress(aiohttp.ClientError):  # of a replica that was killed
                assert stopping.result(30)[0] in (200, 202, 503)
        self._everything_ends()
        for asked in self.asked:
            self._is_stored_once(asked)
        for asked, device in self.reading:
            self._was_read_as_stored(asked, device.transcript)
        self._nobody_sees_anothers()

    def _everything_ends(self) -> None:
        """Every reply has a terminal status, at most a lease and a recovery later."""
        for _ in range(200):
            if not any(self.rows.streaming(client.person.id) for client in self.clients):
                break
            self.world.sleep(0.1)
            self.rows.all("select public.recover_replies()")  # what every replica does, only more often
        for client in self.clients:
            assert self.rows.streaming(client.person.id) == 0
            assert self.rows.leases(client.person.id) == 0

    def _is_stored_once(self, asked: Asked) -> None:
        mine = self.rows.of(self.clients[asked.person].person.id)
        messages = [row for row in mine if row["role"] == "user" and row["content"] == content(asked.script)]
        assert len(messages) <= 1
        assert len(messages) == 1 or not asked.accepted
        replies = [row for row in mine if messages and row["parent_id"] == messages[0]["id"]]
        ids = {str(row["id"]) for row in replies}
        # one reply for each attempt that was accepted, and none that nobody asked for
        assert asked.replies <= ids
        assert len(ids) <= len(asked.replies) + asked.unknown
        assert [row["version"] for row in replies] == list(range(1, len(replies) + 1))
        calls = self.world.upstream.calls_of(asked.marker)
        whole = [row for row in replies if row["status"] == "complete"]
        assert len(whole) <= len(calls) <= len(replies)
        for row in replies:
            assert row["status"] in ("complete", "stopped", "interrupted"), row["status"]
            assert asked.whole.startswith(row["content"])
            assert asked.reasoning.startswith(row["reasoning"])
            if row["status"] == "complete":
                assert (row["content"], row["reasoning"]) == (asked.whole, asked.reasoning)

    def _was_read_as_stored(self, asked: Asked, transcript: Transcript) -> None:
        if transcript.ending is None:
            # nothing is shown that was not said
            assert asked.whole.startswith(transcript.text)
            assert asked.reasoning.startswith(transcript.reasoning)
            self._resume(asked, transcript, 0)
            self.world.settle()
        assert transcript.ending is not None
        row = self.rows.message(transcript.message_id)
        if transcript.ending.data.get("status") == "interrupted" != row["status"]:
            # told so elsewhere while its writer was cut off from the database, and finished after all
            assert row["content"].startswith(transcript.text)
            assert row["reasoning"].startswith(transcript.reasoning)
        else:
            assert transcript.text == row["content"]
            # whoever saw more of an interrupted reply than was stored is told how long its text is
            assert transcript.reasoning.startswith(row["reasoning"])
            assert row["status"] == "interrupted" or transcript.reasoning == row["reasoning"]

    def _nobody_sees_anothers(self) -> None:
        for asked in self.asked:
            stranger = self.clients[1 - asked.person]
            for reply in asked.replies:
                status, problem, _ = self.world.run(
                    stranger.call(self.world.slots[0], "GET", f"/v1/messages/{reply}/stream")
                )
                assert (status, problem["code"]) == (404, "not_found")
        for person, client in enumerate(self.clients):
            for row in self.rows.of(client.person.id):
                assert str(row["conversation_id"]) == self.conversations[person]
                assert f"person-{1 - person}" not in row["content"] + row["reasoning"]


async def _leave(device: Device) -> None:
    device.leave()


@pytest.fixture
def world(stack: LocalSupabase, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    (lease,) = rows.all("select pg_get_functiondef('private.lease()'::regprocedure) as definition")
    with World(stack, tmp_path_factory.mktemp("machine")) as world:
        rows.all(lease["definition"].replace("15 seconds", f"{LEASE_SECONDS} seconds"))
        try:
            yield world
        finally:
            rows.all(lease["definition"])


@pytest.mark.timeout(3600 if THOROUGH else 240)
def test_anything_in_any_order(world: World, rows: Rows) -> None:
    class Machine(Replies):
        pass

    Machine.world, Machine.rows = world, rows
    run_state_machine_as_test(Machine, settings=PROFILE)  # type: ignore[no-untyped-call]

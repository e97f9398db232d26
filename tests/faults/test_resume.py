"""From any place of a reply, on any replica, during and after: the joined text is the stored text."""

from __future__ import annotations

import asyncio

import pytest

from app.api.reply_stream import MAX_FRAME_CHARACTERS
from tests.support.replica_client import Client, Event, Transcript, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api

TOKEN = "ünï{}😀👍🏽 "
"""Characters of one to four bytes, and one that is two code points."""


def up_to(events: list[Event], last_id: int) -> Transcript:
    """What a reader holds who was cut off after the event with that id."""
    transcript = Transcript()
    for event in events:
        if event.id is not None and event.id <= last_id:
            transcript.take(event)
    return transcript


async def test_a_finished_reply_is_resumed_from_every_event(
    replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    asked = {"tokens": 15, "gap": 0.01, "token": TOKEN}
    whole = await client.send(replicas[0], conversation, asked)
    stored = rows.message(whole.message_id)["content"]
    assert whole.text == stored == "".join(TOKEN.format(i) for i in range(15))

    places = [event.id for event in whole.events if event.id is not None and event.name != "done"]
    # tokens that come while the machine is busy go together
    assert len(places) > 4
    for api in replicas:
        for place in places:
            resumed = await client.follow(api, str(whole.message_id), up_to(whole.events, place))
            assert resumed.text == stored
            assert resumed.ending == whole.ending
        from_the_start = await client.follow(api, str(whole.message_id))
        assert (from_the_start.text, from_the_start.ending) == (stored, whole.ending)
        assert from_the_start.events[0] == whole.events[0]


async def test_a_running_reply_is_resumed_from_every_event(
    replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    writer, other = replicas
    conversation = await client.new_conversation(writer)
    resumed: list[asyncio.Task[Transcript]] = []

    async with client.sending(writer, conversation, {"tokens": 15, "gap": 0.1, "token": TOKEN}) as response:
        seen = Transcript()

        def resume_here(transcript: Transcript) -> bool:
            if transcript.ending is None:
                resumed.extend(
                    asyncio.create_task(client.follow(api, str(transcript.message_id), transcript.copy()))
                    for api in (writer, other)
                )
            return False

        await read(response, seen, until=resume_here)
    stored = rows.message(seen.message_id)["content"]
    assert seen.text == stored
    assert len(resumed) == 32
    for transcript in await asyncio.gather(*resumed):
        assert transcript.text == stored
        assert transcript.ending == seen.ending


async def test_a_reader_who_is_cut_again_and_again_holds_the_whole_text(
    replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": 80, "gap": 0.04, "token": TOKEN})
    message_id = begun["message"]["id"]
    transcript, connections = Transcript(), 0
    while transcript.ending is None:
        async with client.following(replicas[connections % 2], message_id, transcript.last_id) as response:
            had = len(transcript.events)
            await read(response, transcript, until=lambda held, had=had: len(held.events) > had)
        connections += 1
    assert connections > 4
    assert transcript.text == rows.message(message_id)["content"]


async def test_a_reader_ahead_of_what_the_other_replica_knows_waits_for_the_text_after_it(
    replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    """The writer shows text up to half a second before it is stored."""
    writer, other = replicas
    conversation = await client.new_conversation(writer)
    async with client.sending(writer, conversation, {"tokens": 60, "gap": 0.02, "token": TOKEN}) as response:
        seen = await read(response, until=tokens(8))
    assert len(rows.message(seen.message_id)["content"]) < len(seen.text)
    resumed = await client.follow(other, str(seen.message_id), seen)
    assert resumed.text == rows.message(seen.message_id)["content"]


async def test_a_long_reply_is_caught_up_with_in_pieces(replicas: tuple[Api, Api], client: Client, rows: Rows) -> None:
    """What waits in memory for a slow connection is a piece, not the reply."""
    conversation = await client.new_conversation(replicas[0])
    whole = await client.send(replicas[0], conversation, {"tokens": 50, "token": "é" * 1999 + "😀"})
    for api in replicas:
        resumed = await client.follow(api, str(whole.message_id), up_to(whole.events, 1))
        pieces = [event.data["text"] for event in resumed.events if event.name == "delta"]
        assert [len(piece) for piece in pieces] == [MAX_FRAME_CHARACTERS] * 3 + [100_000 - 3 * MAX_FRAME_CHARACTERS]
        assert resumed.text == rows.message(whole.message_id)["content"]


async def test_another_user_cannot_follow(replicas: tuple[Api, Api], client: Client, stranger: Client) -> None:
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": 30, "gap": 0.05})
    message_id = begun["message"]["id"]

    async def refused() -> None:
        for api in replicas:
            for method, path in (("GET", "stream"), ("POST", "stop")):
                status, problem, _ = await stranger.call(api, method, f"/v1/messages/{message_id}/{path}")
                assert (status, problem["code"]) == (404, "not_found")

    await refused()  # also while the owner reads on both replicas
    owners = [asyncio.create_task(client.follow(api, message_id)) for api in replicas]
    await refused()
    texts = [transcript.text for transcript in await asyncio.gather(*owners)]
    await refused()
    assert texts == ["".join(f"tok{i} " for i in range(30))] * 2


@pytest.mark.parametrize("place", ["-1", "x", "1.5", "9999999999999999999999"])
async def test_a_place_that_is_none_is_refused(replicas: tuple[Api, Api], client: Client, place: str) -> None:
    conversation = await client.new_conversation(replicas[0])
    whole = await client.send(replicas[0], conversation, {"tokens": 1})
    status, problem, _ = await client.call(
        replicas[0], "GET", f"/v1/messages/{whole.message_id}/stream", Last_Event_ID=place
    )
    assert (status, problem["code"]) == (422, "invalid_request")

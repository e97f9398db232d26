"""What replies draw on: passages in the prompt, sources in the stream and in the message, and replies without."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.aimock import AIMock
from tests.support.client import assert_problem, history, new_conversation, person_client, reading, script, send, turn
from tests.support.documents import put_in, put_in_file, sources_of
from tests.support.pdf import pdf
from tests.support.replica_client import eventually
from tests.support.service import running_api, sign_up
from tests.support.upstream import Upstream

TEA = "Green tea brews at eighty degrees for two minutes."
QUESTION = "At what temperature does green tea brew?"


async def test_the_reply_is_given_the_passages(reader: httpx.AsyncClient, upstream: Upstream) -> None:
    document = await put_in(reader, TEA, title="Tea book")
    conversation = await new_conversation(reader)
    for _ in range(2):  # the second turn searches beside begin_turn
        transcript = await send(reader, conversation, QUESTION)
        (sources,) = sources_of(transcript)
        assert [event.name for event in transcript.events][:2] == ["message.started", "sources"]
        (source,) = sources["items"]
        assert source["document_id"] == document["id"]
        assert (source["title"], source["excerpt"]) == ("Tea book", TEA)
        assert 0.12 < source["similarity"] < 1
        assert sources["error"] is None
        prompt = upstream.calls[-1].body["messages"]
        assert prompt[-1]["role"] == "user"
        assert f"<passages>\n[1] Passage:\n> Title: Tea book\n> {TEA}\n</passages>" in prompt[-1]["content"]
        assert prompt[-1]["content"].endswith(f"\n\n{QUESTION}")
        stored = (await history(reader, conversation))[-1]
        assert stored["sources"] == sources["items"]
        async with reading(reader, "GET", f"/v1/messages/{stored['id']}/stream") as again:
            assert sources_of(await again.to_end()) == [sources]


async def test_a_reply_that_grows_has_them_in_its_row(reader: httpx.AsyncClient, upstream: Upstream) -> None:
    """For readers on other replicas, and should its writer be killed."""
    await put_in(reader, TEA)
    path = f"/v1/conversations/{await new_conversation(reader)}/messages"
    asked = {"content": script(id="growing", tokens=2, stepped=True, question=QUESTION)}
    async with reading(reader, "POST", path, json=asked) as stream:
        await stream.until("sources")
        (sources,) = sources_of(stream.transcript)
        message = f"/v1/messages/{stream.transcript.events[0].data['message_id']}"
        call = await upstream.call("growing")
        call.step()

        async def stored() -> bool:
            return bool((await reader.get(message)).json()["content"])

        await eventually(stored)
        row = (await reader.get(message)).json()
        assert (row["status"], row["sources"]) == ("streaming", sources["items"])
        assert sources["items"]
        call.step()
        await stream.to_end()
    assert (await reader.get(message)).json()["sources"] == sources["items"]


async def test_a_message_may_go_without(reader: httpx.AsyncClient, upstream: Upstream) -> None:
    await put_in(reader, TEA)
    conversation = await new_conversation(reader)
    assert sources_of(await send(reader, conversation, QUESTION, use_rag=False)) == []
    assert upstream.calls[-1].body["messages"] == [{"role": "user", "content": QUESTION}]
    assert (await history(reader, conversation))[-1]["sources"] is None


async def test_without_documents_nothing_is_said_of_sources(reader: httpx.AsyncClient) -> None:
    assert sources_of(await send(reader, await new_conversation(reader), QUESTION)) == []


async def test_a_question_that_nothing_answers_has_no_sources(reader: httpx.AsyncClient, upstream: Upstream) -> None:
    await put_in(reader, TEA)
    question = "Which quantum numbers label atomic orbitals?"
    (sources,) = sources_of(await send(reader, await new_conversation(reader), question))
    assert sources == {"items": [], "error": None}
    assert upstream.calls[-1].body["messages"] == [{"role": "user", "content": question}]


async def test_regenerating_searches_again(reader: httpx.AsyncClient, upstream: Upstream) -> None:
    conversation = await new_conversation(reader)
    reply = await turn(reader, conversation, QUESTION)
    assert reply["sources"] is None
    await put_in(reader, TEA)
    async with reading(reader, "POST", f"/v1/messages/{reply['id']}/regenerate", json={}) as again:
        assert len(sources_of(await again.to_end())) == 1
    assert TEA in upstream.calls[-1].body["messages"][-1]["content"]


@pytest.mark.parametrize("enabled", ["true", "false"])
async def test_openai_embeddings(stack: LocalSupabase, tmp_path: Path, aimock: AIMock, enabled: str) -> None:
    """aimock's vectors are those of the very same words only, so that is what is asked."""
    person = await sign_up(stack)
    aimock.reply("As [1] says.", user="degrees")
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1", "ENABLE_RAG": enabled}
    async with running_api(stack, tmp_path / "api.log", **settings) as api, person_client(api, person) as client:
        for name, data in (
            ("tea.txt", TEA.encode()),
            ("milk.md", b"Milk is heated to sixty degrees."),
            ("water.html", b"<p>Water boils at one hundred degrees.</p>"),
            ("ice.pdf", pdf(["Ice melts at zero degrees."])),
        ):
            document = await put_in_file(client, name, data)
            assert (document["status"], document["embedding_model"]) == ("ready", "text-embedding-3-small")
        conversation = await new_conversation(client)
        for question, title in ((TEA, "tea.txt"), ("Ice melts at zero degrees.", "ice.pdf")):
            transcript = await send(client, conversation, question)
            if enabled == "false":
                assert sources_of(transcript) == []
                continue
            (sources,) = sources_of(transcript)
            assert [(item["title"], item["similarity"]) for item in sources["items"]] == [(title, 1.0)]

        if enabled == "true":
            aimock.reset()
            aimock.reply("Without, then.", user="Really")
            aimock.fixture({"status": 500, "error": {"message": "no"}}, user=None, model="text-embedding-3-small")
            transcript = await send(client, conversation, f"{TEA} Really?")
            (sources,) = sources_of(transcript)
            assert sources == {"items": [], "error": "provider_unavailable"}
            assert transcript.ending is not None
            assert transcript.ending.name == "done"


async def test_who_is_refused_costs_no_vector(stack: LocalSupabase, tmp_path: Path, aimock: AIMock) -> None:
    """The search begins beside the check whether the user may chat; a model is asked after it."""
    person = await sign_up(stack)
    settings = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{aimock.url}/v1"}
    async with running_api(stack, tmp_path / "first.log", **settings) as api, person_client(api, person) as client:
        await put_in(client, TEA)
        conversation = await new_conversation(client)
    async with httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers={"apikey": stack.secret_key}) as service:
        (await service.delete("/entitlements", params={"user_id": f"eq.{person.id}"})).raise_for_status()
    vectors = len(aimock.journal("/embeddings"))
    # a process that has not let the user in before
    async with running_api(stack, tmp_path / "second.log", **settings) as api, person_client(api, person) as client:
        for _ in range(3):
            path = f"/v1/conversations/{conversation}/messages"
            assert_problem(await client.post(path, json={"content": QUESTION}), 403, "premium_required")
    assert len(aimock.journal("/embeddings")) == vectors

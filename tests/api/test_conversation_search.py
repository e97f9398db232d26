"""`GET /v1/conversations?q=`: hits with their conversation, page by page, and queries that are refused."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from app.store.conversations import MAX_QUERY_CHARACTERS
from tests.support.client import WAIT, assert_problem, new_conversation, script, turn

PATH = "/v1/conversations"


async def search(client: httpx.AsyncClient, q: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(PATH, params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def unique(word: str) -> str:
    """A word that no other test writes: the users are those of all tests."""
    return f"{word}{uuid.uuid4().hex}"


async def test_a_hit_leads_to_its_message(as_owner: httpx.AsyncClient) -> None:
    word = unique("tapir")
    conversation = await new_conversation(as_owner, title="Animals")
    reply = await turn(as_owner, conversation, f"Is a <{word}> shy?")
    page = await search(as_owner, word[:-4])
    question = page["items"][-1]
    assert page["next_cursor"] is None
    assert {item["id"] for item in page["items"]} == {conversation}
    read = (await as_owner.get(f"{PATH}/{conversation}")).json()
    assert {**question, "instructions": None} == {**read, "hit": question["hit"]}
    assert question["hit"]["role"] == "user"
    assert question["hit"]["snippet"] == f"Is a &lt;<mark>{word[:-4]}</mark>{word[-4:]}&gt; shy?"
    message = (await as_owner.get(f"/v1/messages/{question['hit']['message_id']}")).json()
    assert (message["content"], message["id"]) == (f"Is a <{word}> shy?", reply["parent_id"])
    assert message["created_at"] == question["hit"]["written_at"]


async def test_a_title_is_a_hit_without_a_message(as_owner: httpx.AsyncClient) -> None:
    word = unique("lynx")
    conversation = await new_conversation(as_owner, title=f"The {word}")
    [item] = (await search(as_owner, word))["items"]
    assert (item["id"], item["hit"]["message_id"], item["hit"]["role"]) == (conversation, None, None)


async def test_a_list_without_words_has_no_hits(as_owner: httpx.AsyncClient) -> None:
    await new_conversation(as_owner)
    page = (await as_owner.get(PATH)).json()
    assert all("hit" not in item for item in page["items"])


async def test_a_reply_that_another_replaced_is_found(as_owner: httpx.AsyncClient) -> None:
    word = unique("okapi")
    reply = await turn(as_owner, await new_conversation(as_owner), script(pieces=[f"An {word}."]))
    again = await as_owner.post(f"/v1/messages/{reply['id']}/regenerate", json={}, headers=WAIT)
    assert again.status_code == 200
    assert (reply["content"], again.json()["content"]) == (f"An {word}.", f"An {word}.")
    found = {item["hit"]["message_id"] for item in (await search(as_owner, word))["items"]}
    assert found == {reply["parent_id"], reply["id"], again.json()["id"]}


async def test_pages_hold_each_hit_once(as_owner: httpx.AsyncClient) -> None:
    word = unique("ibex")
    written = [await new_conversation(as_owner, title=f"{word} {number}") for number in range(5)]
    found, cursor = [], None
    while True:
        page = await search(as_owner, word, limit=2, **({"cursor": cursor} if cursor else {}))
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert sorted(found) == sorted(written)


async def test_strangers_find_nothing(as_owner: httpx.AsyncClient, as_stranger: httpx.AsyncClient) -> None:
    word = unique("dodo")
    await new_conversation(as_owner, title=word)
    assert len((await search(as_owner, word))["items"]) == 1
    assert (await search(as_stranger, word)) == {"items": [], "next_cursor": None}


async def test_without_a_token(anonymous: httpx.AsyncClient) -> None:
    assert_problem(await anonymous.get(PATH, params={"q": "tea"}), 401, "unauthenticated")


@pytest.mark.parametrize(
    "q", ["", " ", "\u3000", "?!", "“”", "🙂", "x" * (MAX_QUERY_CHARACTERS + 1), "a\u0000b"], ids=ascii
)
async def test_queries_that_are_refused(as_owner: httpx.AsyncClient, q: str) -> None:
    problem = assert_problem(await as_owner.get(PATH, params={"q": q}), 422, "invalid_request")
    assert problem["detail"].startswith("q: ")


@pytest.mark.parametrize(
    ("escaped", "said"),
    [
        ("a%00b", "q: contains a NUL character (U+0000), which is not allowed."),
        ("caf%E9", "q: is not valid UTF-8"),
        ("tea%ED%A0%80", "q: is not valid UTF-8"),
        ("tea%F0%9F", "q: is not valid UTF-8"),
    ],
)
async def test_query_that_is_no_text_is_named(as_owner: httpx.AsyncClient, escaped: str, said: str) -> None:
    """Not searched without its bytes: other texts would be found."""
    refused = await as_owner.get(f"{PATH}?limit=5&q={escaped}")
    assert assert_problem(refused, 422, "invalid_request")["detail"].startswith(said)


@pytest.mark.parametrize("cursor", ["", "x", "NDI", "MSAyIDMgNCA1", "MSAyIE5hTiA0", "ÄÖ", "MSAyIDMg"])
async def test_cursors_that_are_refused(as_owner: httpx.AsyncClient, cursor: str) -> None:
    answer = await as_owner.get(PATH, params={"q": "tea", "cursor": cursor})
    assert assert_problem(answer, 422, "invalid_request")["detail"].startswith("cursor: ")


async def test_the_longest_query(as_owner: httpx.AsyncClient) -> None:
    for q in (
        "x" * MAX_QUERY_CHARACTERS,
        "東" * MAX_QUERY_CHARACTERS,
        "a " * (MAX_QUERY_CHARACTERS // 2),
        "' | \\ & !:*a",
    ):
        assert (await search(as_owner, q))["next_cursor"] is None

"""ChatGPT's conversations.json becomes conversations: its branches, its steps as one reply, and no system messages."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest

from app.api.chatgpt import read_chatgpt
from app.errors import InvalidRequest
from scripts.local_supabase import LocalSupabase
from tests.api.memory import at_most
from tests.support.client import assert_problem, history, person_client
from tests.support.replica_client import eventually
from tests.support.service import Api, sign_up


@pytest.fixture
async def client(api: Api, stack: LocalSupabase) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(api, await sign_up(stack)) as opened:
        yield opened


def node(
    key: str, parent: str | None, children: list[str], role: str | None = None, *parts: Any, **content: Any
) -> tuple[str, dict[str, Any]]:
    message = None
    if role is not None:
        message = {
            "id": key,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": 1_700_000_000.5,
            "content": {"content_type": "text", "parts": list(parts)} | content,
            "recipient": "all",
            "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
        }
    return key, {"id": key, "message": message, "parent": parent, "children": children}


FILE: list[dict[str, Any]] = [
    {
        "title": "A trip",
        "id": "chat-1",
        "conversation_id": "chat-1",
        "create_time": 1_699_999_999.0,
        "current_node": "second",
        "mapping": dict(
            [
                node("root", None, ["system"]),
                node("system", "root", ["ask", "edited"], "system", ""),
                node("ask", "system", ["first", "thinking"], "user", "Where to?", {"content_type": "image"}),
                node("first", "ask", [], "assistant", "Rome."),
                node("thinking", "ask", ["tool"], "assistant", content_type="thoughts", thoughts=[{"content": "Hm."}]),
                node("tool", "thinking", ["half"], "tool", "found"),
                node("half", "tool", ["second"], "assistant", "Looked it up."),
                node("second", "half", ["thanks"], "assistant", "Paris."),
                node("thanks", "second", [], "user", "Thanks"),
                node("edited", "system", [], "user", "Where not to?"),
            ]
        ),
    }
]


async def send(client: httpx.AsyncClient, file: object) -> dict[str, Any]:
    response = await client.post("/v1/imports", json=file)
    assert response.status_code == 202, response.text
    state: dict[str, Any] = {}

    async def ended() -> bool:
        nonlocal state
        state = (await client.get(response.headers["location"])).json()
        return state["status"] != "running"

    await eventually(ended, within=60)
    return state


async def test_branches_and_steps(client: httpx.AsyncClient) -> None:
    state = await send(client, FILE)
    assert (state["status"], state["added_conversations"], state["added_messages"]) == ("complete", 1, 5)
    [item] = (await client.get("/v1/conversations")).json()["items"]
    assert (item["title"], item["created_at"][:10]) == ("A trip", "2023-11-14")
    shown = await history(client, item["id"])
    assert [(said["role"], said["content"], said["reasoning"]) for said in shown] == [
        ("user", "Where to?\n[attachment]", ""),
        ("assistant", "Looked it up.\n\nParis.", "Hm."),
        ("user", "Thanks", ""),
    ]
    assert (shown[1]["model"], shown[1]["usage"], shown[1]["status"]) == ("gpt-4o", None, "complete")
    assert [said["siblings"]["count"] for said in shown[:2]] == [2, 2]
    assert (await send(client, FILE))["added_messages"] == 0


VARIANTS: list[tuple[str, dict[str, Any], str | None]] = [
    ("parts", {"parts": ["one", None, {"content_type": "image_asset_pointer"}, "two"]}, "one\n[attachment]\ntwo"),
    (
        "spoken",
        {
            "content_type": "multimodal_text",
            "parts": [
                {"content_type": "audio_transcription", "text": "Hi there.", "direction": "in"},
                {"content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": {}},
            ],
        },
        "Hi there.",
    ),
    ("shared", {"content_type": "multimodal_text", "parts": [{"text": "A canvas"}, {}]}, "A canvas\n[attachment]"),
    ("code", {"content_type": "code", "language": "python", "text": "print(1)\n"}, "```\nprint(1)\n```"),
    ("recap", {"content_type": "reasoning_recap", "content": "Thought for 5 s"}, None),
    ("context", {"content_type": "user_editable_context", "user_profile": "secret"}, None),
    ("error", {"content_type": "system_error", "name": "x", "text": "failed"}, None),
    ("odd thoughts", {"content_type": "thoughts", "thoughts": ["Hm.", None]}, None),
    ("nothing", {"parts": None}, None),
]


@pytest.mark.parametrize(("content", "text"), [variant[1:] for variant in VARIANTS], ids=[v[0] for v in VARIANTS])
@pytest.mark.parametrize("role", ["user", "assistant"])
async def test_contents_of_all_kinds(
    client: httpx.AsyncClient, role: str, content: dict[str, Any], text: str | None
) -> None:
    parent = "ask" if role == "assistant" else None
    nodes = [node("ask", None, ["it"], "user", "Well?")] if parent else []
    file = [{"id": "x", "title": None, "mapping": dict([*nodes, node("it", parent, [], role, **content)])}]
    await send(client, file)
    [item] = (await client.get("/v1/conversations")).json()["items"]
    shown = [(said["role"], said["content"]) for said in await history(client, item["id"])]
    assert shown == [*([("user", "Well?")] if parent else []), *([(role, text)] if text is not None else [])]


async def test_what_is_not_shown_is_left_out(client: httpx.AsyncClient) -> None:
    """Messages without a place, of tools and to tools, and those that ChatGPT writes in the user's name."""
    hidden = node("hidden", "root", ["ask"], "user", "My profile")
    hidden[1]["message"]["metadata"] = {"is_visually_hidden_from_conversation": True}
    to_tool = node("search", "ask", ["found"], "assistant", "query")
    to_tool[1]["message"]["recipient"] = "web.run"
    nodes = [
        node("root", None, ["hidden"]),
        hidden,
        node("ask", "hidden", ["search"], "user", "Well?"),
        to_tool,
        node("found", "search", ["answer"], "tool", "pages"),
        node("answer", "found", ["gone"], "assistant", "Yes."),
    ]
    # a child that the file does not have, times that it does not say
    for _, each in nodes[1:]:
        each["message"]["create_time"] = None
    await send(client, [{"conversation_id": "x", "create_time": None, "current_node": None, "mapping": dict(nodes)}])
    [item] = (await client.get("/v1/conversations")).json()["items"]
    shown = await history(client, item["id"])
    assert [(said["role"], said["content"]) for said in shown] == [("user", "Well?"), ("assistant", "Yes.")]


async def test_what_cannot_be_stored_is_left_out(client: httpx.AsyncClient) -> None:
    """NUL, and halves of characters; a backslash before the same letters is a text."""
    text = r"a\u0000b \ud83dc \ude00d \ud83d\ude00 \\u0000 \\\u0000e \\ud83d \ud83d\ud83d\ude00 \n"
    file = json.dumps([{"id": "x", "mapping": dict([node("ask", None, [], "user", "TEXT")])}]).replace("TEXT", text)
    response = await client.post("/v1/imports", content=file.encode(), headers={"Content-Type": "application/json"})
    assert response.status_code == 202, response.text
    half = "\ufffd"
    expected = f"ab {half}c {half}d 😀 \\u0000 \\e \\ud83d {half}😀"

    async def shown() -> bool:
        return bool((await client.get(response.headers["location"])).json()["status"] == "complete")

    await eventually(shown, within=60)
    [item] = (await client.get("/v1/conversations")).json()["items"]
    assert [said["content"] for said in await history(client, item["id"])] == [expected]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([node("q", None, []), node("ask", "q", []), node("said", "ask", [])], id="no children are named"),
        pytest.param([node("ask", None, ["said"]), node("said", None, [])], id="no parents are named"),
        pytest.param([node("ask", "gone", ["said", "said", "lost"]), node("said", "ask", ["ask"])], id="too many are"),
    ],
)
async def test_tree_is_what_its_nodes_say_of_each_other(
    client: httpx.AsyncClient, nodes: list[tuple[str, dict[str, Any]]]
) -> None:
    mapping = dict(nodes)
    for key, role in (("ask", "user"), ("said", "assistant")):
        mapping[key] |= {"message": node(key, None, [], role, key)[1]["message"]}
    await send(client, [{"id": "x", "mapping": mapping}])
    [item] = (await client.get("/v1/conversations")).json()["items"]
    assert [said["content"] for said in await history(client, item["id"])] == ["ask", "said"]


async def test_file_of_the_first_months(client: httpx.AsyncClient) -> None:
    """Its conversations have no id, and parts may be missing; sent again, it adds nothing."""
    mapping = dict(
        [node("root", None, ["ask"]), node("ask", "root", ["empty"], "user", "Hi"), node("empty", "ask", [])]
    )
    mapping["empty"]["message"] = {"author": None, "content": None, "metadata": None}
    file = [{"title": "Early", "mapping": mapping}]
    assert (await send(client, file))["added_messages"] == 1
    assert (await send(client, file))["added_messages"] == 0


async def test_zip_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/imports", content=b"PK\x03\x04\xff", headers={"Content-Type": "application/json"})
    assert "zip archive: unpack it" in assert_problem(response, 415, "invalid_request")["detail"]


async def test_long_message_is_taken(client: httpx.AsyncClient) -> None:
    """ChatGPT's users send more than Parley takes at once, and cannot change the file."""
    await send(client, [{"id": "x", "mapping": dict([node("ask", None, [], "user", "x" * 200_000)])}])
    [item] = (await client.get("/v1/conversations")).json()["items"]
    assert [len(said["content"]) for said in await history(client, item["id"])] == [200_000]


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ([{"id": "x"}], "file[0].mapping: missing"),
        (
            [{"id": "x", "mapping": dict([node("a", "b", ["b"]), node("b", "a", ["a"])])}],
            "file[0].mapping: a comes after",
        ),
        ([{"id": "x", "mapping": dict([node("a", None, ["a"])])}], "file[0].mapping: a comes after itself"),
        ([{"mapping": {}}], "file[0].id"),
        (
            [{"id": "x", "mapping": dict([node("n", None, [], "user", content_type="text", parts="x")])}],
            "file[0].mapping.n.message.content.parts:",
        ),
        ([{"id": "x", "mapping": {"n": {"parent": 5}}}], "file[0].mapping.n.parent: expected text"),
        ([{"id": "x", "create_time": 1e99, "mapping": {}}], "file[0].create_time"),
    ],
)
async def test_refused_with_its_place(client: httpx.AsyncClient, file: object, place: str) -> None:
    problem = assert_problem(await client.post("/v1/imports", json=file), 422, "invalid_request")
    assert problem["detail"].startswith(place)


NODE = '{"message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hi"]}, "metadata": {}}}'
MANY = "[" + "[]," * 1_500_000 + "1]"
COSTLY: list[tuple[str, str | None]] = [
    ("[" + "1," * 2_500_000 + "1]", "file[0]: "),
    ('[{"id": "x", "mapping": {"n": NODE}}]'.replace("NODE", NODE.replace("{}", f'{{"z": {MANY}}}')), None),
    ('[{"id": "x", "mapping": {"n": NODE}}]'.replace("NODE", NODE.replace("{}", f'{{"model_slug": {MANY}}}')), None),
    (
        '[{"id": "x", "mapping": {"n": NODE}}]'.replace("NODE", NODE.replace('["Hi"]', MANY)),
        "file[0].mapping.n.message.content.parts: at most 4194304 bytes are taken.",
    ),
]


@pytest.mark.parametrize(("file", "detail"), COSTLY, ids=["no objects", "unknown field", "model", "parts"])
def test_what_is_not_taken_over_takes_little_memory(file: str, detail: str | None) -> None:
    data = file.encode()
    with at_most(4 * len(data)), pytest.raises(InvalidRequest) if detail else nullcontext() as refused:
        read_chatgpt(data)
    if refused is not None:
        assert str(refused.value).startswith(str(detail))

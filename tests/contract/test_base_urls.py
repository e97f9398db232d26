"""The line that each adapter's SDK really sends, whatever form its base URL has."""

from __future__ import annotations

import socket

import pytest

from app.errors import ProviderError
from app.providers.description import Configuration
from app.providers.factory import make_embedder, make_moderator, make_providers
from app.providers.gemini.client import make_client
from app.providers.registry import PROVIDERS
from app.values import ChatRequest, Message, ProviderName
from tests.contract.conftest import ADAPTERS, collect, configured_at
from tests.support.raw_upstream import Exchange, raw_upstream
from tests.support.wires import WIRES

ASKED = ChatRequest("m", (Message("user", "Hello"),))
PATHS: dict[str, str] = {
    "openai": "/chat/completions",
    "claude": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
}
"""Of a chat, after a base URL without a path."""
LISTS: dict[str, str] = {
    "openai": "/models",
    "claude": "/v1/models?limit=1000",
    "gemini": "/v1beta/models?pageSize=100",
    "ollama": "/api/tags",
}
QUERY = "api-version=2026-10-21&x=a%20b+c%26d"


def base_url_setting(adapter: str) -> str:
    (setting,) = (one for one in PROVIDERS[ProviderName(adapter)].settings if one.kind == "url")
    return setting.name


async def refuse(exchange: Exchange) -> None:
    exchange.reply(404, b"{}")


async def line_of(adapter: ProviderName, path: str, *, host: str = "127.0.0.1") -> str:
    """The path that a chat is sent to, with `path` after the server's address in the setting."""

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with raw_upstream(answer, host=host) as upstream:
        configuration = configured_at(upstream.url, **{base_url_setting(adapter): upstream.url + path})
        provider = make_providers(configuration)[adapter]
        await collect(provider, ASKED)
        await provider.aclose()
    (exchange,) = upstream.exchanges
    assert exchange.headers["host"] == upstream.url.removeprefix("http://")
    return exchange.path


def joined(prefix: str, path: str, query: str) -> str:
    return prefix + path + (("&" if "?" in path else "?") + query if query else "")


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("", ""),
        ("/", ""),
        ("//", ""),
        ("/proxy", "/proxy"),
        ("/proxy//", "/proxy"),
        ("//proxy//x/", "/proxy/x"),
        ("/a%2Fb%20c", "/a%2Fb%20c"),
        ("/v1/acc:ount@x;p=1,2/gate~way", "/v1/acc:ount@x;p=1,2/gate~way"),
    ],
)
@pytest.mark.parametrize("query", ["", QUERY])
async def test_path_and_query_are_kept(adapter: ProviderName, path: str, prefix: str, query: str) -> None:
    sent = await line_of(adapter, f"{path}?{query}")

    assert sent == joined(prefix, PATHS[adapter], query)


@pytest.mark.parametrize(
    ("adapter", "path", "expected"),
    [
        ("openai", "/proxy/v1", "/proxy/v1/chat/completions"),
        ("openai", "/v1/chat/completions", "/v1/chat/completions"),
        ("claude", "/proxy/v1", "/proxy/v1/messages"),
        ("claude", "/v1/messages", "/v1/messages"),
        ("gemini", "/proxy/v1beta", "/proxy" + PATHS["gemini"]),
        ("gemini", "/v1beta/models", PATHS["gemini"]),
        ("gemini", "/v1", PATHS["gemini"]),
        ("ollama", "/proxy/v1", "/proxy/api/chat"),
        ("ollama", "/api", "/api/chat"),
        ("ollama", "/api/chat", "/api/chat"),
    ],
    indirect=["adapter"],
)
@pytest.mark.parametrize("query", ["", QUERY])
async def test_what_an_sdk_appends_may_stand_in_the_setting(
    adapter: ProviderName, path: str, expected: str, query: str
) -> None:
    assert await line_of(adapter, f"{path}/?{query}") == joined("", expected, query)


async def test_ipv6(adapter: ProviderName) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert await line_of(adapter, f"/proxy?{QUERY}", host="::1") == joined("/proxy", PATHS[adapter], QUERY)


async def test_query_of_a_list(adapter: ProviderName) -> None:
    async with raw_upstream(refuse) as upstream:
        configuration = configured_at("", **{base_url_setting(name): f"{upstream.url}?{QUERY}" for name in ADAPTERS})
        provider = make_providers(configuration)[adapter]
        with pytest.raises(ProviderError):
            await provider.list_models()
        await provider.aclose()

    assert upstream.exchanges[0].path == joined("", LISTS[adapter], QUERY)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("text-embedding-3-small", "/embeddings"),
        ("gemini-embedding-001", "/v1beta/models/gemini-embedding-001:embedContent"),
        ("nomic-embed-text", "/api/embed"),
    ],
)
async def test_query_of_embeddings(model: str, path: str) -> None:
    async with raw_upstream(refuse) as upstream:
        configuration = configured_at("", **{base_url_setting(name): f"{upstream.url}?{QUERY}" for name in ADAPTERS})
        embedder = make_embedder(model, configuration)
        assert embedder is not None
        with pytest.raises(ProviderError):
            await embedder.embed(["one"], "query")
        await embedder.aclose()

    assert upstream.exchanges[0].path == joined("", path, QUERY)


async def test_query_of_moderation() -> None:
    async with raw_upstream(refuse) as upstream:
        moderator = make_moderator("openai", configured_at("", OPENAI_BASE_URL=f"{upstream.url}/v1?{QUERY}"))
        assert moderator is not None
        with pytest.raises(ProviderError):
            await moderator.check("hello")
        await moderator.aclose()

    assert upstream.exchanges[0].path == joined("", "/v1/moderations", QUERY)


async def test_variable_of_googles_sdk_does_not_say_where_the_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """google-genai 3.4 takes its base URL from GOOGLE_GEMINI_BASE_URL where it is given none."""
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    client, http_client = make_client(Configuration({"GOOGLE_AI_API_KEY": "k"}))
    request = client._api_client._build_request("get", "models", {})
    await http_client.aclose()
    client.close()

    assert request.url == "https://generativelanguage.googleapis.com/v1beta/models"

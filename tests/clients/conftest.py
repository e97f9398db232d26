"""What the tests of clients share: a service whose provider is aimock, keys for it, and what each program told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from functools import cache
from typing import Any

import pytest

from app.personal_keys import make_key
from scripts.install.command import REPOSITORY, one_at_a_time
from scripts.install.python_packages import install_python_packages
from scripts.local_supabase import LocalSupabase
from tests.clients.clients import ENVIRONMENT, LOCK, Client
from tests.support.aimock import AIMock, aimock_server
from tests.support.callers import Connection
from tests.support.client import person_client
from tests.support.limits import owned
from tests.support.service import Api, Person, running_api, sign_up

__all__ = ["aimock_server", "owned"]

USAGE = {"prompt_tokens": 31, "completion_tokens": 12, "total_tokens": 43}
VECTOR = [0.6, -0.8] + [0.001] * 1534

Told = Callable[[Client], dict[str, Any]]


@pytest.fixture(scope="package")
def scripted(aimock_server: AIMock) -> Iterator[AIMock]:
    """aimock with an answer to each prompt of the programs."""
    aimock_server.reset()
    weather = [{"name": "get_weather", "arguments": f'{{"city": "{city}"}}'} for city in ("Rome", "Oslo")]

    def answer(user: str, response: dict[str, Any], **fixture: Any) -> None:
        match = {"userMessage": user} | ({"hasToolResult": fixture.pop("after")} if "after" in fixture else {})
        entry = {"match": match, "response": {"usage": USAGE, **response}, **fixture}
        aimock_server._control("POST", "/fixtures", {"fixtures": [entry]})

    answer("Say hello.", {"content": "Hello!"})
    answer("Count to five.", {"content": "one two three four five"}, chunkSize=4)
    answer("Compare the weather", {"toolCalls": weather}, chunkSize=3, after=False)
    answer("Compare the weather", {"content": "Rome is warmer."}, after=True)
    answer("Who wrote the first program?", {"content": '{"name": "Ada", "year": 1843}'})
    answer("Tell a long story.", {"content": "Once upon", "finishReason": "length"})
    answer("Think, then answer.", {"content": "Forty-two.", "reasoning": "Let me see."})
    answer(
        "Begin, and break off.", {"content": "Begin and go on and on"}, chunkSize=4, truncateAfterChunks=4, latency=150
    )
    embedding = {"match": {"inputText": "text"}, "response": {"embedding": VECTOR}}
    aimock_server._control("POST", "/fixtures", {"fixtures": [embedding]})
    yield aimock_server
    aimock_server.reset()


@pytest.fixture(scope="package")
async def service(
    stack: LocalSupabase, scripted: AIMock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    settings = {
        "OPENAI_API_KEY": "test-key-of-the-api",
        "OPENAI_BASE_URL": f"{scripted.url}/v1",
        "EMBEDDING_MODEL": "text-embedding-3-small",
    }
    async with running_api(stack, tmp_path_factory.mktemp("clients") / "api.log", **settings) as api:
        yield api


async def new_key(api: Api, person: Person) -> str:
    async with person_client(api, person) as client:
        created = await client.post("/v1/keys", json={"name": "tests of clients"})
        assert created.status_code == 201, created.text
        return str(created.json()["key"])


@pytest.fixture(scope="package")
async def settings(service: Api, stack: LocalSupabase, owned: Connection) -> dict[str, str]:
    """The environment of the programs."""
    # a user who has used up the requests of an hour, however long the programs take
    owned.execute("insert into private.plans (plan, premium, requests_per_minute) values ('one a minute', true, 1)")
    limited = await sign_up(stack, "one a minute")
    limited_key = await new_key(service, limited)
    owned.execute("insert into private.meters values (%s, 'turn', now() + interval '1 hour')", [limited.id])
    return {
        "CLIENT_BASE_URL": f"{service.url}/openai/v1",
        "CLIENT_KEY": await new_key(service, await sign_up(stack)),
        "CLIENT_LIMITED_KEY": limited_key,
        "CLIENT_WRONG_KEY": make_key().text,
        # they would load prices and a version from elsewhere
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "DO_NOT_TRACK": "1",
    }


@pytest.fixture(scope="package")
def environment() -> None:
    """The clients' own packages, installed the first time."""
    with one_at_a_time(REPOSITORY):
        install_python_packages(ENVIRONMENT, REPOSITORY / "requirements-bootstrap.lock", LOCK)


@pytest.fixture(scope="package")
def told(environment: None, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What the program of a client told; it is run once."""

    @cache
    def run(client: Client) -> dict[str, Any]:
        return client.run(settings, tmp_path_factory.mktemp("home"))

    return run

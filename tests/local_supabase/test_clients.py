"""The official clients work against the stack unchanged."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, AuthApiError, acreate_client

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import NODE, REPOSITORY

PASSWORD = "correct horse"


NewClient = Callable[[], Awaitable[AsyncClient]]


@pytest.fixture
async def new_client(stack: LocalSupabase) -> AsyncIterator[NewClient]:
    """Makes clients with their own session, whose connections are closed afterwards."""
    async with httpx.AsyncClient(timeout=20) as http:
        yield lambda: acreate_client(stack.url, stack.publishable_key, options=AsyncClientOptions(httpx_client=http))


async def test_python_client(new_client: NewClient) -> None:
    client = await new_client()
    email = f"{uuid.uuid4()}@parley.example"
    signed_up = await client.auth.sign_up({"email": email, "password": PASSWORD})
    assert signed_up.user is not None
    assert abs(signed_up.user.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    await client.auth.sign_out()
    signed_in = await client.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert signed_in.user is not None

    claims = await client.auth.get_claims()
    assert claims is not None
    assert (claims["headers"]["alg"], claims["claims"]["sub"]) == ("ES256", signed_in.user.id)

    inserted = await client.table("conversations").insert({"title": "from Python"}).execute()
    assert inserted.data[0]["user_id"] == signed_in.user.id
    named = {"user_id": signed_in.user.id, "title": "with its owner"}
    assert (await client.table("conversations").insert(named).execute()).data[0]["title"] == "with its owner"
    one = await client.table("conversations").select("title").eq("title", "from Python").single().execute()
    assert one.data == {"title": "from Python"}
    with pytest.raises(APIError) as refused:
        await client.table("entitlements").insert({"user_id": signed_in.user.id, "plan": "premium"}).execute()
    assert refused.value.code == "42501"
    matched = await client.rpc(
        "match_embeddings",
        {"query_embedding": [0.1] * 1536, "match_threshold": 0.5, "match_count": 3},
    ).execute()
    assert matched.data == []

    refreshed = await client.auth.refresh_session()
    assert refreshed.user is not None
    assert refreshed.user.id == signed_in.user.id


async def test_another_user_sees_nothing(new_client: NewClient) -> None:
    first, second = await new_client(), await new_client()
    for client in (first, second):
        await client.auth.sign_up({"email": f"{uuid.uuid4()}@parley.example", "password": PASSWORD})
    await first.table("conversations").insert({"title": "mine"}).execute()
    assert (await second.table("conversations").select("*").execute()).data == []


async def test_the_admin_api_is_refused_in_clear_words(stack: LocalSupabase) -> None:
    async with httpx.AsyncClient() as http:
        client = await acreate_client(stack.url, stack.secret_key, options=AsyncClientOptions(httpx_client=http))
        with pytest.raises(AuthApiError, match="no Admin API") as refused:
            await client.auth.admin.list_users()
    assert refused.value.status == 501


def test_javascript_client(stack: LocalSupabase) -> None:
    email = f"{uuid.uuid4()}@parley.example"
    ran = subprocess.run(
        [NODE, Path(__file__).parent / "client.mjs", stack.url, stack.publishable_key, email],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    user_id = seen["signedIn"]
    assert uuid.UUID(user_id)
    assert seen == {
        "signedUp": email,
        "signedOut": None,
        "refused": "invalid_credentials",
        "signedIn": user_id,
        "claims": ["ES256", user_id],
        "inserted": ["from js", user_id],
        "listed": [{"title": "from js"}],
        "missing": None,
        "forbidden": "42501",
        "updated": "dark",
        "refreshed": user_id,
        "matched": [],
    }

"""Access tokens over HTTP: only an unexpired one of a signed-in user of this very project is let in."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.api.tokens import Claims, assemble, claims_of, secrets_of_the_public_key, sign, signing_key
from tests.support.client import assert_problem, person_client
from tests.support.service import Api, Person, running_api, sign_up

PATHS = ("/v1/conversations", "/v1/models")


@pytest.fixture
def claims(stack: LocalSupabase, owner: Person) -> Claims:
    """Those of a valid token of the owner's."""
    return claims_of(stack.url, owner.id)


async def refused(client: httpx.AsyncClient, token: str | bytes) -> None:
    """On a route that asks Supabase and on one that does not."""
    value = token if isinstance(token, bytes) else token.encode()
    for path in PATHS:
        response = await client.get(path, headers={"Authorization": b"Bearer " + value})
        body = assert_problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
        assert value[:40].decode("latin-1") not in body["detail"]


async def test_valid_token(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims) -> None:
    """What the others here change one thing of."""
    for path in PATHS:
        token = sign(claims, stack.signing_key)
        response = await anonymous.get(path, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("ago", [0, 1, 60, 10**9])
async def test_expired(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, ago: int) -> None:
    """To the second: leeway is for clocks that are behind, not for tokens that are over."""
    await refused(anonymous, sign(claims | {"exp": int(time.time()) - ago}, stack.signing_key))


async def test_of_a_user_who_was_deleted(api: Api, stack: LocalSupabase) -> None:
    """The token is good until it expires; whatever it would make finds no owner."""
    person = await sign_up(stack)
    with psycopg.connect(stack.database_url) as database:
        database.execute("delete from auth.users where id = %s", [person.id])
    async with person_client(api, person) as client:
        for path, body in (("/v1/conversations", {}), ("/v1/moderations", {"content": "Hello"})):
            assert_problem(await client.post(path, json=body), 401, "unauthenticated")
        assert (await client.get("/v1/conversations")).json()["items"] == []


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_of_the_future(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, claim: str) -> None:
    await refused(anonymous, sign(claims | {claim: int(time.time()) + 120}, stack.signing_key))


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "aud", "iss", "role"])
async def test_without_a_claim(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, claim: str) -> None:
    del claims[claim]
    await refused(anonymous, sign(claims, stack.signing_key))


async def test_of_the_project_by_another_name(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims
) -> None:
    """SUPABASE_URL has to be the address that tokens are issued with."""
    token = sign(claims | {"iss": claims["iss"].replace("127.0.0.1", "localhost")}, stack.signing_key)
    answer = await anonymous.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
    problem = assert_problem(answer, 401, "unauthenticated")
    assert problem["detail"] == f"The access token's issuer is not {stack.url}/auth/v1, as SUPABASE_URL says it is."


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "https://other.supabase.co/auth/v1"),
        ("iss", "supabase"),
        ("iss", ""),
        ("aud", "anon"),
        ("aud", "other"),
        ("aud", ["other"]),
        ("role", "service_role"),
        ("role", "anon"),
        ("role", "postgres"),
        ("role", "Authenticated"),
        ("role", ["authenticated"]),
        ("role", None),
        ("sub", "1"),
        ("sub", ""),
        ("sub", "not-a-uuid"),
        ("sub", 5),
        ("sub", {"id": 1}),
        ("exp", "soon"),
        ("exp", None),
    ],
)
async def test_claim_of_another_value(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, claim: str, value: Any
) -> None:
    await refused(anonymous, sign({**claims, claim: value}, stack.signing_key))


async def test_of_a_service(anonymous: httpx.AsyncClient, stack: LocalSupabase) -> None:
    """As legacy projects issue them: no user, ten years to go."""
    now = int(time.time())
    token = sign({"iss": "supabase", "role": "service_role", "iat": now, "exp": now + 10**8}, stack.signing_key)
    await refused(anonymous, token)


@pytest.mark.parametrize("key", ["publishable_key", "secret_key"])
async def test_api_key_is_no_token(anonymous: httpx.AsyncClient, stack: LocalSupabase, key: str) -> None:
    await refused(anonymous, getattr(stack, key))


async def test_signed_with_another_key_under_our_keys_id(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims
) -> None:
    await refused(anonymous, sign(claims, signing_key(stack.signing_key["kid"])))


async def test_signed_with_a_key_that_is_not_published(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims
) -> None:
    await refused(anonymous, sign(claims, signing_key()))


async def test_key_that_comes_with_the_token(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims
) -> None:
    """Header members that point to a key, or hold one, are not looked at."""
    own = signing_key(stack.signing_key["kid"])
    for header in ({"jwk": own}, {"jku": "http://127.0.0.1:1/jwks.json"}, {"x5u": "http://127.0.0.1:1/"}):
        await refused(anonymous, sign(claims, own, **header))


@pytest.mark.parametrize("kid", ["", "other", "../keys", "' or 1=1", 5, None])
async def test_key_id_that_names_no_key(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, kid: object
) -> None:
    valid = sign(claims, stack.signing_key)
    header = {"alg": "ES256", "typ": "JWT"} | ({"kid": kid} if kid is not None else {})
    forged = assemble(header, claims, b"").rpartition(".")[0] + "." + valid.rpartition(".")[2]
    await refused(anonymous, forged)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
async def test_unsigned(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, algorithm: str) -> None:
    header = {"alg": algorithm, "typ": "JWT", "kid": stack.signing_key["kid"]}
    await refused(anonymous, assemble(header, claims, None))
    await refused(anonymous, assemble(header, claims, None).rstrip("."))


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "jwk-compact", "x", "raw-x", "kid", "empty"])
@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256"])
async def test_signed_with_the_public_key_as_a_secret(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, form: str, algorithm: str
) -> None:
    key = stack.signing_key
    header = {"alg": algorithm, "typ": "JWT", "kid": key["kid"]}
    await refused(anonymous, assemble(header, claims, secrets_of_the_public_key(key)[form]))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "ES384", "PS256", "EdDSA", "ES256K", ["ES256"], {"a": 1}, 5])
async def test_other_algorithms(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, algorithm: object
) -> None:
    await refused(anonymous, assemble({"alg": algorithm, "kid": stack.signing_key["kid"]}, claims, b"secret"))


async def test_signature_of_another_token(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims) -> None:
    valid = sign(claims, stack.signing_key)
    other = sign(claims | {"sub": str(uuid.uuid4())}, stack.signing_key)
    await refused(anonymous, valid.rpartition(".")[0] + "." + other.rpartition(".")[2])


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_tampered_with(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, part: int) -> None:
    """One character, in the middle of any part: its last one may hold bits that say nothing."""
    parts = sign(claims, stack.signing_key).split(".")
    middle = len(parts[part]) // 2
    other = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
    await refused(anonymous, ".".join(parts))


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token + ".A",
        lambda token: token.replace(".", ""),
        lambda token: token.partition(".")[0],
        lambda token: "." + token,
        lambda token: token * 2,
        lambda token: f'"{token}"',
        lambda token: f"{token}, {token}",
        lambda token: token.encode()[:30] + b"\xff" + token.encode()[30:],
        lambda _: "..",
        lambda _: "a.b.c",
        lambda _: "e30.e30.e30",
        lambda _: "W10.W10.W10",
        lambda _: "null",
        lambda _: "é".encode(),
        lambda _: "é".encode("latin-1"),
        lambda _: "A" * 16_384,
        lambda _: "A" * 30_000,
    ],
)
async def test_garbage(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims, change: Callable[[str], str | bytes]
) -> None:
    await refused(anonymous, change(sign(claims, stack.signing_key)))


async def test_valid_token_that_is_too_long(anonymous: httpx.AsyncClient, stack: LocalSupabase, claims: Claims) -> None:
    """A project's hook may add claims, within reason."""

    async def status(size: int) -> int:
        token = sign(claims | {"extra": "x" * size}, stack.signing_key)
        response = await anonymous.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
        return response.status_code

    assert await status(8_000) == 200
    assert await status(16_000) == 401


async def test_payload_is_not_believed_before_the_signature(
    anonymous: httpx.AsyncClient, stack: LocalSupabase, owner: Person
) -> None:
    """The owner's own token with the owner's own claims, one bit more of them: not even an expiry is told of it."""
    claims = jwt.decode(owner.token, options={"verify_signature": False})
    header = jwt.get_unverified_header(owner.token)
    forged = assemble(header, claims | {"exp": 0}, None) + owner.token.rpartition(".")[2]
    response = await anonymous.get("/v1/models", headers={"Authorization": f"Bearer {forged}"})
    assert "expired" not in assert_problem(response, 401, "unauthenticated")["detail"]


async def test_forgeries_from_an_address_lock_nobody_out(stack: LocalSupabase, tmp_path: Path) -> None:
    """They name the project's issuer and key, so that only the signature tells them from a good one."""
    limit = {"RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "120", "EMBEDDING_MODEL": "local"}
    forger = signing_key(stack.signing_key["kid"])
    async with (
        running_api(stack, tmp_path / "api.log", **limit) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30) as client,
    ):
        statuses = []
        for _ in range(302):
            forged = sign(claims_of(stack.url), forger)
            statuses.append((await client.get("/v1/models", headers={"Authorization": f"Bearer {forged}"})).status_code)
        assert (statuses[0], statuses[-1]) == (401, 429)
        for _ in range(3):
            fresh = await sign_up(stack)
            assert (await client.get("/v1/models", headers=fresh.headers)).status_code == 200

"""The token verifier by itself: when it asks for the project's keys, what it remembers, and what it never does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.api import auth
from app.api.auth import TokenVerifier
from app.errors import SupabaseUnavailable, Unauthenticated
from app.values import User
from tests.api.tokens import assemble, claims_of, public, secrets_of_the_public_key, sign, signing_key

URL = "https://project.supabase.co"
SECRET = "a legacy project's secret, long enough for HMAC"


@dataclass
class Project:
    """What a verifier sees of a project: its key set, and a clock that only tests move."""

    keys: list[dict[str, str]] = field(default_factory=lambda: [signing_key()])
    body: bytes | None = None
    """Served instead of the keys."""
    down: bool = False
    fetches: int = 0
    now: float = field(default_factory=time.time)
    gate: asyncio.Event | None = None
    """Fetches wait for it."""

    async def fetch(self) -> bytes:
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise SupabaseUnavailable(retry_after=2)
        return self.body if self.body is not None else json.dumps({"keys": [public(key) for key in self.keys]}).encode()

    def verifier(self, **options: Any) -> TokenVerifier:
        return TokenVerifier(URL, self.fetch, clock=lambda: self.now, **options)

    def token(self, key: int = 0, **changes: Any) -> str:
        return sign(claims_of(URL, **changes), self.keys[key])


@pytest.fixture
def project() -> Project:
    return Project()


async def verify(verifier: TokenVerifier, token: str) -> User:
    return await verifier.verify(f"Bearer {token}")


async def assert_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await verify(verifier, token)


async def test_user_of_a_token(project: Project) -> None:
    subject, expires = "8e2e5b8e-0ff1-4d2c-a3ae-1b8e5c8c0f11", int(project.now) + 100
    token = project.token(subject=subject, exp=expires)
    assert await verify(project.verifier(), token) == User(subject, token, expires)


async def test_user_id_is_written_in_one_way(project: Project) -> None:
    """It is compared with ids from the database."""
    token = project.token(subject="{8E2E5B8E0FF14D2CA3AE1B8E5C8C0F11}")
    assert (await verify(project.verifier(), token)).id == "8e2e5b8e-0ff1-4d2c-a3ae-1b8e5c8c0f11"


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
async def test_trailing_slash_of_the_projects_url(project: Project, url: str) -> None:
    await verify(TokenVerifier(url, project.fetch), project.token())


# ── the key set ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_keys_are_fetched_once(project: Project) -> None:
    verifier = project.verifier()
    assert project.fetches == 0
    for _ in range(5):
        await verify(verifier, project.token())
    assert project.fetches == 1


async def test_keys_are_fetched_again_when_they_are_old(project: Project) -> None:
    verifier = project.verifier()
    await verify(verifier, project.token())
    project.now += auth.JWKS_SECONDS
    await verify(verifier, project.token(exp=project.now + 60))
    assert project.fetches == 1
    project.now += 1
    await verify(verifier, project.token(exp=project.now + 60))
    assert project.fetches == 2


async def test_many_at_once_fetch_once(project: Project) -> None:
    project.gate = asyncio.Event()
    verifier = project.verifier()
    waiting = [asyncio.create_task(verify(verifier, project.token())) for _ in range(50)]
    await asyncio.sleep(0)
    project.gate.set()
    await asyncio.gather(*waiting)
    assert project.fetches == 1


async def test_new_key_is_found(project: Project) -> None:
    """After a rotation the old key stays published until its tokens are over."""
    verifier = project.verifier()
    await verify(verifier, project.token())
    project.keys.append(signing_key())
    project.now += auth.JWKS_RETRY_SECONDS
    await verify(verifier, project.token(1))
    await verify(verifier, project.token(0))
    assert project.fetches == 2


async def test_withdrawn_key_is_forgotten(project: Project) -> None:
    verifier = project.verifier()
    await verify(verifier, project.token())
    withdrawn = project.keys.pop()
    project.keys.append(signing_key())
    project.now += auth.JWKS_SECONDS + 1
    await assert_refused(verifier, sign(claims_of(URL, exp=project.now + 60), withdrawn))
    assert project.fetches == 2


async def test_unknown_keys_do_not_multiply_fetches(project: Project) -> None:
    verifier = project.verifier()
    await verify(verifier, project.token())
    for _ in range(100):
        await assert_refused(verifier, sign(claims_of(URL), signing_key()))
    assert project.fetches == 1
    project.now += auth.JWKS_RETRY_SECONDS
    for _ in range(100):
        await assert_refused(verifier, sign(claims_of(URL), signing_key()))
    assert project.fetches == 2


async def test_unknown_keys_do_not_multiply_fetches_of_a_project_without_keys(project: Project) -> None:
    project.body = b'{"keys": []}'
    verifier = project.verifier(jwt_secret=SECRET)
    for _ in range(100):
        await assert_refused(verifier, sign(claims_of(URL), signing_key()))
    assert project.fetches == 1


async def test_project_that_cannot_be_reached(project: Project) -> None:
    """Not the caller's fault, so no 401; and not a reason for every request to try, and wait, by itself."""
    project.down = True
    verifier = project.verifier()
    for _ in range(100):
        with pytest.raises(SupabaseUnavailable):
            await verify(verifier, project.token())
    assert project.fetches == 1
    project.down = False
    project.now += auth.JWKS_OUTAGE_SECONDS
    await verify(verifier, project.token())
    assert project.fetches == 2


async def test_keys_stay_good_while_the_project_cannot_be_reached(project: Project) -> None:
    verifier = project.verifier()
    await verify(verifier, project.token())
    project.down = True
    for _ in range(3):
        project.now += auth.JWKS_SECONDS + 1
        for _ in range(20):
            await verify(verifier, project.token(exp=project.now + 60))
    assert project.fetches == 4


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"', b"\xff", b"{"])
async def test_answer_that_is_no_key_set(project: Project, body: bytes) -> None:
    project.body = body
    with pytest.raises(SupabaseUnavailable):
        await verify(project.verifier(), project.token())


@pytest.mark.parametrize("body", [b"{}", b'{"keys": []}', b'{"keys": [{"kty": "EC"}, 5, {}]}', b'{"keys": 5}'])
async def test_key_set_without_a_usable_key(project: Project, body: bytes) -> None:
    project.body = body
    await assert_refused(project.verifier(), project.token())


async def test_fetch_that_is_given_up_does_not_hold_up_the_others(project: Project) -> None:
    project.gate = asyncio.Event()
    verifier = project.verifier()
    first, second = (asyncio.create_task(verify(verifier, project.token())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    project.gate.set()
    await second
    assert first.cancelled()


async def test_remembered_token_ends_with_its_key(project: Project) -> None:
    verifier = project.verifier()
    project.keys.append(signing_key())
    old, new = project.token(0, exp=project.now + 10_000), project.token(1, exp=project.now + 10_000)
    for token in (old, new):
        await verify(verifier, token)
    withdrawn = project.keys.pop(0)
    project.now += auth.JWKS_SECONDS + 1
    await assert_refused(verifier, old)
    user = await verify(verifier, new)
    assert project.fetches == 2
    # and the other way round: published again, it is good again
    project.keys.append(withdrawn)
    project.now += auth.JWKS_RETRY_SECONDS
    assert (await verify(verifier, old)).token == old
    assert await verify(verifier, new) is user


async def test_remembered_token_ends_with_its_key_when_another_one_asks(project: Project) -> None:
    """The keys are also fetched for a token that names an unknown one."""
    verifier = project.verifier()
    token = project.token()
    await verify(verifier, token)
    project.keys[:] = [signing_key()]
    project.now += auth.JWKS_RETRY_SECONDS
    await verify(verifier, project.token())
    await assert_refused(verifier, token)


async def test_remembered_token_ends_when_its_keys_id_is_given_to_another_key(project: Project) -> None:
    verifier = project.verifier()
    token = project.token(exp=project.now + 10_000)
    await verify(verifier, token)
    project.keys[:] = [signing_key() | {"kid": project.keys[0]["kid"]}]
    project.now += auth.JWKS_SECONDS + 1
    await assert_refused(verifier, token)
    await verify(verifier, project.token(exp=project.now + 60))


async def test_remembered_token_ends_when_no_key_is_published(project: Project) -> None:
    verifier = project.verifier(jwt_secret=SECRET)
    token, legacy = project.token(exp=project.now + 10_000), jwt.encode(claims_of(URL, exp=2**31), SECRET, "HS256")
    for one in (token, legacy):
        await verify(verifier, one)
    project.keys.clear()
    project.now += auth.JWKS_SECONDS + 1
    await assert_refused(verifier, token)
    await verify(verifier, legacy)


async def test_remembered_tokens_outlive_a_fetch_that_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = project.verifier()
    token = project.token(exp=project.now + 10_000)
    user = await verify(verifier, token)
    project.now += auth.JWKS_SECONDS + 1
    monkeypatch.setattr(jwt, "decode", None)
    assert await verify(verifier, token) is user
    assert project.fetches == 2


async def test_known_tokens_do_not_wait_for_a_project_that_does_not_answer(project: Project) -> None:
    verifier = project.verifier()
    token = project.token(exp=project.now + 10_000)
    await verify(verifier, token)
    project.down = True
    project.now += auth.JWKS_SECONDS + 1
    await verify(verifier, token)
    project.gate = asyncio.Event()
    project.now += auth.JWKS_RETRY_SECONDS
    for _ in range(3):
        await verify(verifier, token)
        await asyncio.sleep(0)
    assert project.fetches == 3
    # the answer that comes late counts all the same
    project.down = False
    project.keys.clear()
    project.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    await assert_refused(verifier, token)


# ── algorithms ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_rs256(project: Project) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key())) | {"kid": "r", "alg": "RS256"}
    project.body = json.dumps({"keys": [published]}).encode()
    token = jwt.encode(claims_of(URL), private, "RS256", headers={"kid": "r"})
    await verify(project.verifier(), token)


async def test_key_is_of_one_algorithm(project: Project) -> None:
    """A key that is published for one algorithm does not verify another."""
    key = public(project.keys[0]) | {"alg": "RS256"}
    project.body = json.dumps({"keys": [key]}).encode()
    await assert_refused(project.verifier(), project.token())


async def test_secret_that_is_published_is_no_key(project: Project) -> None:
    project.body = json.dumps({"keys": [{"kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256"}]}).encode()
    for algorithm in ("HS256", "ES256", "RS256"):
        token = assemble({"alg": algorithm, "kid": "s"}, claims_of(URL), b"secret")
        await assert_refused(project.verifier(), token)


async def test_hs256_of_a_legacy_project(project: Project) -> None:
    verifier = project.verifier(jwt_secret=SECRET)
    token = jwt.encode(claims_of(URL), SECRET, "HS256")
    assert (await verify(verifier, token)).token == token
    assert project.fetches == 0
    await verify(verifier, project.token())  # while it moves to asymmetric keys, both are good


async def test_hs256_without_a_secret(project: Project) -> None:
    await assert_refused(project.verifier(), jwt.encode(claims_of(URL), SECRET, "HS256"))
    assert project.fetches == 0


async def test_hs256_with_another_secret(project: Project) -> None:
    await assert_refused(project.verifier(jwt_secret=SECRET), jwt.encode(claims_of(URL), SECRET + "!", "HS256"))


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "jwk-compact", "x", "raw-x", "kid", "empty"])
async def test_public_key_is_never_a_secret(project: Project, form: str) -> None:
    key = project.keys[0]
    forged = assemble({"alg": "HS256", "kid": key["kid"]}, claims_of(URL), secrets_of_the_public_key(key)[form])
    await assert_refused(project.verifier(), forged)
    await assert_refused(project.verifier(jwt_secret=SECRET), forged)


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────────────────


async def test_remembered_token_expires_to_the_second(project: Project) -> None:
    verifier = project.verifier()
    token = project.token(exp=int(project.now) + 100)
    await verify(verifier, token)
    project.now = int(project.now) + 99.9
    await verify(verifier, token)
    project.now += 0.1
    await assert_refused(verifier, token)


async def test_remembered_token_is_not_verified_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, token = project.verifier(), project.token()
    user = await verify(verifier, token)
    monkeypatch.setattr(jwt, "decode", None)
    assert await verify(verifier, token) is user


async def test_refused_token_is_not_remembered(project: Project) -> None:
    """Else anybody could fill the memory, and a key that is published a little late would never be believed."""
    verifier, late = project.verifier(), signing_key()
    await verify(verifier, project.token())
    token = sign(claims_of(URL), late)
    await assert_refused(verifier, token)
    project.keys.append(late)
    project.now += auth.JWKS_RETRY_SECONDS
    await verify(verifier, token)


async def test_memory_is_bounded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "CACHED_TOKENS", 3)
    verifier = project.verifier()
    tokens = [project.token() for _ in range(5)]
    users = [await verify(verifier, token) for token in tokens]
    again = [await verify(verifier, token) for token in reversed(tokens)]
    assert [new is old for new, old in zip(again, reversed(users), strict=True)] == [True, True, True, False, False]


async def test_each_token_of_a_user_is_passed_on_as_it_came(project: Project) -> None:
    verifier, subject = project.verifier(), "8e2e5b8e-0ff1-4d2c-a3ae-1b8e5c8c0f11"
    one, two = (project.token(subject=subject) for _ in range(2))
    assert one != two
    assert [(await verify(verifier, token)).token for token in (one, two)] == [one, two]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic x", "x", "Bearer" + "x" * 20_000])
async def test_header_without_a_bearer_token(project: Project, header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await project.verifier().verify(header)
    assert project.fetches == 0


def test_published_keys_are_used_where_cryptography_was_hidden() -> None:
    key = signing_key()
    program = (
        "import asyncio, sys\n"
        "from app.modules import hide\n"
        "hide('cryptography')\n"
        "import jwt\n"
        "from app.api.auth import TokenVerifier\n"
        "assert not jwt.algorithms.has_crypto\n"
        "url, keys, secret, by_secret, by_key = sys.argv[1:]\n"
        "async def fetch(): return keys.encode()\n"
        "verifier = TokenVerifier(url, fetch, jwt_secret=secret)\n"
        "assert asyncio.run(verifier.verify('Bearer ' + by_secret)).token == by_secret\n"
        "assert sys.modules['cryptography'] is None\n"
        "assert asyncio.run(verifier.verify('Bearer ' + by_key)).token == by_key\n"
    )
    arguments = (
        URL,
        json.dumps({"keys": [public(key)]}),
        SECRET,
        jwt.encode(claims_of(URL), SECRET, "HS256"),
        sign(claims_of(URL), key),
    )
    # in a process of its own, as it changes what is imported
    subprocess.run((sys.executable, "-c", program, *arguments), check=True, timeout=120)

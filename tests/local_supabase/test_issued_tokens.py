"""Access tokens are those of a new hosted project, and only those are accepted."""

from __future__ import annotations

import hmac
import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_encode

from scripts.local_supabase import LocalSupabase

Claims = dict[str, Any]


def mint(stack: LocalSupabase, changes: Claims, user: Claims) -> str:
    """A token signed with the project's own key."""
    key = stack.signing_key
    claims = {
        "iss": f"{stack.url}/auth/v1",
        "aud": "authenticated",
        "sub": user["user"]["id"],
        "role": "authenticated",
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
    }
    return jwt.encode({**claims, **changes}, jwt.PyJWK(key).key, "ES256", headers={"kid": key["kid"]})


def test_token_verifies_with_the_published_keys(stack: LocalSupabase, http: httpx.Client, user: Claims) -> None:
    published = http.get("/auth/v1/.well-known/jwks.json")
    assert published.headers["cache-control"] == "public, max-age=600"
    [key] = published.json()["keys"]
    assert "d" not in key
    assert jwt.get_unverified_header(user["access_token"]) == {
        "alg": "ES256",
        "kid": key["kid"],
        "typ": "JWT",
    }
    claims = jwt.decode(
        user["access_token"],
        jwt.PyJWK(key),
        algorithms=["ES256"],
        audience="authenticated",
        issuer=f"{stack.url}/auth/v1",
    )
    assert claims["sub"] == user["user"]["id"]


def test_token_has_the_claims_of_a_hosted_project(user: Claims) -> None:
    claims = jwt.decode(user["access_token"], options={"verify_signature": False})
    session_id, issued = claims["session_id"], claims["iat"]
    assert claims == {
        "iss": claims["iss"],
        "sub": user["user"]["id"],
        "aud": "authenticated",
        "exp": issued + 3600,
        "iat": issued,
        "email": user["email"],
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": claims["user_metadata"],
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": issued}],
        "session_id": session_id,
        "is_anonymous": False,
    }
    assert claims["user_metadata"]["email"] == user["email"]


def test_refreshed_token_is_of_the_same_kind(http: httpx.Client, anon: dict[str, str], user: Claims) -> None:
    answer = http.post(
        "/auth/v1/token",
        params={"grant_type": "refresh_token"},
        headers=anon,
        json={"refresh_token": user["refresh_token"]},
    )
    token = answer.json()["access_token"]
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["app_metadata"] == {"provider": "email", "providers": ["email"]}


def test_app_metadata_changed_by_the_owner_reaches_the_next_token(
    http: httpx.Client, anon: dict[str, str], owner: Any, sign_up: Any
) -> None:
    new = sign_up()
    owner.execute(
        'update auth.users set raw_app_meta_data = raw_app_meta_data || \'{"plan": "team"}\' where id = %s',
        [new["user"]["id"]],
    )
    answer = http.post(
        "/auth/v1/token",
        params={"grant_type": "password"},
        headers=anon,
        json={"email": new["email"], "password": new["password"]},
    )
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["app_metadata"]["plan"] == "team"


def test_own_token_is_accepted(stack: LocalSupabase, http: httpx.Client, anon: dict[str, str], user: Claims) -> None:
    """The refusals below mean something: the same token, unchanged, passes."""
    headers = {**anon, "Authorization": f"Bearer {mint(stack, {}, user)}"}
    assert http.get("/rest/v1/conversations", headers=headers).status_code == 200
    assert http.get("/auth/v1/user", headers=headers).json()["id"] == user["user"]["id"]


def test_expired_token_is_refused(stack: LocalSupabase, http: httpx.Client, anon: dict[str, str], user: Claims) -> None:
    headers = {**anon, "Authorization": f"Bearer {mint(stack, {'exp': int(time.time()) - 60}, user)}"}
    refused = http.get("/rest/v1/conversations", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "PGRST303")
    refused = http.get("/auth/v1/user", headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "bad_jwt")


def foreign_key(claims: Claims, kid: str, known: str) -> str:
    """Signed with another key under the project's key id."""
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": kid})


def shared_secret(claims: Claims, kid: str, known: str) -> str:
    """Signed with the published key as if it were a shared secret."""
    head = {"alg": "HS256", "typ": "JWT", "kid": kid}
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in (head, claims))
    signature = base64url_encode(hmac.digest(known.encode(), signed, "sha256"))
    return b".".join((signed, signature)).decode()


def unsigned(claims: Claims, kid: str, known: str) -> str:
    """Not signed at all."""
    return jwt.encode(claims, None, "none", headers={"kid": kid})


@pytest.mark.parametrize("forge", [foreign_key, shared_secret, unsigned])
def test_forged_token_is_refused(
    stack: LocalSupabase, http: httpx.Client, anon: dict[str, str], user: Claims, forge: Any
) -> None:
    claims = jwt.decode(mint(stack, {"role": "service_role"}, user), options={"verify_signature": False})
    known = json.dumps(http.get("/auth/v1/.well-known/jwks.json").json()["keys"][0])
    headers = {**anon, "Authorization": f"Bearer {forge(claims, stack.signing_key['kid'], known)}"}
    refused = http.get("/rest/v1/conversations", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "PGRST301")
    refused = http.get("/auth/v1/user", headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "bad_jwt")


def test_token_that_is_none_is_refused(http: httpx.Client, anon: dict[str, str]) -> None:
    refused = http.get("/rest/v1/conversations", headers={**anon, "Authorization": "Bearer nonsense"})
    assert (refused.status_code, refused.json()["code"]) == (401, "PGRST301")


def test_key_alone_is_nobody(http: httpx.Client, anon: dict[str, str], stack: LocalSupabase) -> None:
    """Clients without a user send the key twice."""
    repeated = {**anon, "Authorization": f"Bearer {stack.publishable_key}"}
    refused = http.get("/rest/v1/conversations", headers=repeated)
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")


@pytest.mark.parametrize("path", ["/rest/v1/conversations", "/auth/v1/user"])
@pytest.mark.parametrize("headers", [{}, {"apikey": "sb_publishable_unknown"}])
def test_request_without_a_known_key_is_refused(
    http: httpx.Client, path: str, headers: dict[str, str], user: Claims
) -> None:
    refused = http.get(path, headers={**headers, "Authorization": f"Bearer {user['access_token']}"})
    assert refused.status_code == 401
    assert "API key" in refused.json()["message"]


def test_secret_key_from_a_browser_is_refused(http: httpx.Client, service: dict[str, str]) -> None:
    browser = {**service, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    assert http.get("/rest/v1/conversations", headers=browser).status_code == 401

"""Fixtures of the stack's tests: an HTTP client, the owner's connection, users."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase

Session = dict[str, Any]


@pytest.fixture(scope="session")
def http(stack: LocalSupabase) -> Iterator[httpx.Client]:
    """A client on the stack's origin; it sends no key by itself."""
    with httpx.Client(base_url=stack.url, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def owner(stack: LocalSupabase) -> Iterator[psycopg.Connection]:
    """The project owner's connection, each statement its own transaction."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def anon(stack: LocalSupabase) -> dict[str, str]:
    """The headers of a client nobody is signed in on."""
    return {"apikey": stack.publishable_key}


@pytest.fixture(scope="session")
def service(stack: LocalSupabase) -> dict[str, str]:
    """The headers of a trusted server."""
    return {"apikey": stack.secret_key}


@pytest.fixture(scope="session")
def sign_up(http: httpx.Client, anon: dict[str, str]) -> Callable[[], Session]:
    """Sign up a new user; returns the session as Auth answers it, plus its `email` and `password`."""

    def new_user() -> Session:
        credentials = {"email": f"{uuid.uuid4()}@parley.example", "password": "correct horse"}
        answer = http.post("/auth/v1/signup", headers=anon, json=credentials)
        assert answer.status_code == 200, answer.text
        session: Session = {**answer.json(), **credentials}
        return session

    return new_user


@pytest.fixture(scope="session")
def user(sign_up: Callable[[], Session]) -> Session:
    """A signed-in user."""
    return sign_up()


@pytest.fixture(scope="session")
def signed_in(anon: dict[str, str], user: Session) -> dict[str, str]:
    """The headers of that user's client."""
    return {**anon, "Authorization": f"Bearer {user['access_token']}"}

"""The demo user: an account with a plan, so that a fresh stack can be tried at once."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from postgrest.exceptions import APIError
from supabase import AuthApiError, AuthError, Client, ClientOptions, create_client

from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase

EMAIL = "demo@parley.example"


@dataclass(frozen=True)
class DemoUser:
    """The demo user's credentials."""

    email: str
    password: str


def ensure_demo_user(stack: LocalSupabase) -> DemoUser:
    """Sign up the demo user, if there is none, and give them a plan, through the public APIs."""
    demo = DemoUser(EMAIL, stack.demo_password)
    with httpx.Client(timeout=10) as http:
        options = ClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
        user = _signed_in(create_client(stack.url, stack.publishable_key, options), demo)
        # a second client, since the first one is signed in as the user now
        service = create_client(stack.url, stack.secret_key, options)
        entitlement = {"user_id": user, "plan": "premium"}
        try:
            service.table("entitlements").upsert(entitlement, on_conflict="user_id").execute()
        except APIError as error:
            raise StackError(f"the demo user {demo.email} cannot have a plan: {error.message}") from error
    return demo


def _signed_in(client: Client, demo: DemoUser) -> str:
    """Sign in, or sign up if there is no such user. Returns the user's id."""
    try:
        try:
            answer = client.auth.sign_in_with_password({"email": demo.email, "password": demo.password})
        except AuthApiError as error:
            if error.code != "invalid_credentials":
                raise
            answer = client.auth.sign_up({"email": demo.email, "password": demo.password})
    except AuthError as error:
        raise StackError(f"the demo user {demo.email} cannot sign in: {error.message}") from error
    if answer.user is None:
        raise StackError(f"the demo user {demo.email} cannot sign in")
    return answer.user.id

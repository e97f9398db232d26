"""In charge of the demo user: somebody to sign in as, with a plan, on a stack that has just started."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from scripts.local_supabase.processes import StackError
from scripts.local_supabase.stack import LocalSupabase

EMAIL = "demo@parley.example"


@dataclass(frozen=True)
class DemoUser:
    """How to sign in."""

    email: str
    password: str


def ensure_demo_user(stack: LocalSupabase) -> DemoUser:
    """Sign the demo user up, unless that has been done, and give them a plan, through the public APIs."""
    demo = DemoUser(EMAIL, stack.demo_password)
    credentials = {"email": demo.email, "password": demo.password}
    with httpx.Client(base_url=stack.url, timeout=10) as http:
        user = {"apikey": stack.publishable_key}
        session = http.post("/auth/v1/token", params={"grant_type": "password"}, headers=user, json=credentials)
        if session.status_code == 400:
            session = http.post("/auth/v1/signup", headers=user, json=credentials)
        if session.status_code != 200:
            raise StackError(f"the demo user {demo.email} cannot sign in: {session.text}")
        granted = http.post(
            "/rest/v1/entitlements",
            params={"on_conflict": "user_id"},
            headers={
                "apikey": stack.secret_key,
                "Prefer": "resolution=merge-duplicates,return=minimal",
            },
            json={"user_id": session.json()["user"]["id"], "plan": "premium"},
        )
        if not granted.is_success:
            raise StackError(f"the demo user {demo.email} cannot have a plan: {granted.text}")
    return demo

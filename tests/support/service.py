"""A real API process for tests: `python -m app` on a free port against the throw-away Supabase; users to call it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
PASSWORD = "correct horse battery staple"
"""Of everybody who signs up."""


@dataclass
class Api:
    """One running API process."""

    url: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    @property
    def log_text(self) -> str:
        return Path(self.log.name).read_text()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to end, as an orchestrator does."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, within: float) -> int:
        """Its exit code. Raises TimeoutError when it goes on."""
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), within)


@dataclass
class Person:
    """A signed-up user."""

    id: str
    email: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def environment(stack: LocalSupabase, **settings: str) -> dict[str, str]:
    """Only what is named: the developer's own keys must not reach a test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
    return kept | {
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        # out of the way of tests that are not about them; every API on this database shares them
        "RATE_LIMIT_REQUESTS_PER_MINUTE": "1000000",
        "RATE_LIMIT_TOKENS_PER_MINUTE": "1000000000",
        "RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "1000000",
        # a call beside the replies, which tests count
        "TITLES": "off",
        # served where it happens to be built
        "WEB": "off",
        **settings,
    }


@asynccontextmanager
async def running_api(
    stack: LocalSupabase,
    log: Path,
    *,
    until: str = "/health/ready",
    module: str = "app",
    code: str = str(ROOT),
    prefix: Sequence[str] = (),
    **settings: str,
) -> AsyncGenerator[Api]:
    """Start the API (`python -m module` in the folder `code`, after `prefix`) with `settings` in its environment, on a
    free port unless PARLEY_PORT is among them, wait until `until` answers 200, and end it."""
    port = settings.pop("PARLEY_PORT", str(free_port()))
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [*prefix, sys.executable, "-m", module],
            cwd=code,
            env=environment(stack, PARLEY_PORT=port, **settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        api = Api(f"http://127.0.0.1:{port}", process, output)
        try:
            await _answers(api, until)
            yield api
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    await api.ended(15)
                except TimeoutError:
                    api.kill()


async def _answers(api: Api, path: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(START_SECONDS):
        while True:
            if api.process.poll() is not None:
                raise RuntimeError(f"the API ended at its start: {api.log_text}")
            try:
                if (await client.get(f"{api.url}{path}")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def sign_up(stack: LocalSupabase, plan: str | None = "premium", *, email: str | None = None) -> Person:
    """A new user, through the Auth API, with a plan or, for None, without."""
    email = email or f"{uuid.uuid4().hex}@example.com"
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"{stack.url}/auth/v1/signup",
            headers={"apikey": stack.publishable_key},
            json={"email": email, "password": PASSWORD},
        )
        response.raise_for_status()
        session: dict[str, Any] = response.json()
        if plan is not None:
            granted = await client.post(
                f"{stack.url}/rest/v1/entitlements",
                headers={"apikey": stack.secret_key},
                json={"user_id": session["user"]["id"], "plan": plan},
            )
            granted.raise_for_status()
    return Person(session["user"]["id"], email, session["access_token"])

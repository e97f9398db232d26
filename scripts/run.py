"""`make run`: runs the embedded Supabase and the API processes on top of it until Ctrl-C.

The API uses the embedded stack here even if `.env` names a hosted project. To use a hosted project, run `python -m
app`.
"""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import httpx
import psycopg

from app.misspelt import misspelt
from app.settings import Settings, SettingsError, load_settings
from app.startup import in_use
from scripts.local_supabase.demo import DemoUser, ensure_demo_user
from scripts.local_supabase.environment import RunSettings
from scripts.local_supabase.keys import write_private
from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import Child, StackError, require_free_port, wait_until
from scripts.local_supabase.stack import LocalSupabase
from scripts.notices import Notices
from scripts.web import WebError, build

# The API takes up to 10 s to end: it stores the replies that it is writing and tells their readers.
_API_PATIENCE_SECONDS = 12
_MAINTENANCE_SECONDS = 3600
LOCAL_PAGES = ("http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*")
"""Origins whose pages may call this API, for frontend development servers on any port."""


def main() -> None:
    """Run until a signal comes (status 0) or a part cannot be started (status 1, with one line that names it)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop_once)
    try:
        settings = RunSettings.load()
        stack = LocalSupabase(settings.data, supabase_port=settings.supabase_port, db_port=settings.db_port)
        api_settings = settings_of_api(settings, stack)
        # before anything else, since processes that a killed run has left may hold the ports
        stack.claim()
        require_free_api_ports(settings)
        if api_settings.web == "on":
            build_web()
        with stack, api_processes(settings, stack) as apis:
            demo = ensure_demo_user(stack)
            content = addresses(settings, stack, demo)
            write_private(settings.data / "env", shell_lines(content))
            print(summary(content, settings, api_settings), flush=True)
            watch(settings, stack, apis)
    except StackError as error:
        sys.exit(f"make run: {error}")


def _stop_once(number: int, frame: FrameType | None) -> None:
    """End the run with an exception, so that every `with` block closes. Further signals are ignored."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    print("\nstopping …", flush=True)
    raise SystemExit(0)


def settings_of_api(settings: RunSettings, stack: LocalSupabase) -> Settings:
    """The settings with which the API will be started, except the keys, which the stack makes when it starts. Raises
    StackError when the API would refuse them."""
    keys = {"SUPABASE_PUBLISHABLE_KEY": "sb_publishable_", "SUPABASE_SECRET_KEY": "sb_secret_"}
    try:
        return load_settings({**settings.inherited, "SUPABASE_URL": stack.url, **keys})
    except SettingsError as error:
        raise StackError(str(error)) from error


def build_web() -> None:
    """Build the web client where its sources have changed. The API needs none, so the run goes on without one."""
    try:
        build()
    except WebError as error:
        print(f"warning: {error}", file=sys.stderr, flush=True)


def require_free_api_ports(settings: RunSettings) -> None:
    """Raises StackError when a port of the API is taken. Checked before the database is started."""
    for replica in range(settings.replicas):
        for name, port in settings.ports_of(replica).items():
            require_free_port(port, name)


@contextmanager
def api_processes(settings: RunSettings, stack: LocalSupabase) -> Iterator[list[Child]]:
    """Start the API's processes together and wait until they are ready. At the end, stop them together."""
    apis: list[Child] = []
    try:
        apis.extend(start_api(settings, stack, replica) for replica in range(settings.replicas))
        for replica, api in enumerate(apis):
            wait_until(partial(_answers, settings.api_port + replica, "/health/ready"), seconds=30, child=api)
        yield apis
    finally:
        for api in apis:
            if api.alive():
                api.process.send_signal(api.stop_signal)
        for api in apis:
            api.stop(_API_PATIENCE_SECONDS)


def start_api(settings: RunSettings, stack: LocalSupabase, replica: int) -> Child:
    """Start one process of the API, without waiting until it is ready. Replicas are numbered from 0."""
    return stack.run_beside(
        f"api-{replica + 1}",
        [sys.executable, "-m", "app"],
        cwd=REPOSITORY,
        env={
            **settings.inherited,
            "SUPABASE_URL": stack.url,
            "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
            "SUPABASE_SECRET_KEY": stack.secret_key,
            # a hosted project's secret would make the API refuse the embedded stack's tokens
            "SUPABASE_JWT_SECRET": "",
            **{name: str(port) for name, port in settings.ports_of(replica).items()},
            "CORS_ALLOW_ORIGINS": ",".join((*LOCAL_PAGES, settings.inherited.get("CORS_ALLOW_ORIGINS", ""))),
        },
    )


def _answers(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def addresses(settings: RunSettings, stack: LocalSupabase, demo: DemoUser) -> dict[str, str]:
    """The addresses and keys that scripts and tests need; the content of `$PARLEY_DATA/env`."""
    second = {"API_URL_2": f"http://127.0.0.1:{settings.api_port + 1}"} if settings.replicas == 2 else {}
    return {
        "API_URL": f"http://127.0.0.1:{settings.api_port}",
        **second,
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "DATABASE_URL": stack.database_url,
        "DEMO_EMAIL": demo.email,
        "DEMO_PASSWORD": demo.password,
    }


def shell_lines(content: dict[str, str]) -> str:
    """`export NAME=value` lines, which a shell's `.` and python-dotenv can read."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in content.items())


def summary(content: dict[str, str], settings: RunSettings, api_settings: Settings) -> str:
    """The text that is printed when everything runs: addresses, providers, warnings, and commands to try."""
    file = settings.data / "env"
    models = "\n  ".join(in_use(api_settings))
    warnings = "".join(f"warning: {line}\n" for line in misspelt(settings.environment, settings.in_file))
    second = f" and {content['API_URL_2']}" if "API_URL_2" in content else ""
    page = f"Chat       {content['API_URL']}\n  " if api_settings.web == "on" else ""
    return f"""
Parley is running (Ctrl-C stops it)
  {page}API        {content["API_URL"]}{second}    its OpenAPI: {content["API_URL"]}/schema
  Supabase   {content["SUPABASE_URL"]}
  demo user  {content["DEMO_EMAIL"]}    password: {content["DEMO_PASSWORD"]}
  addresses and keys: {file}    logs: {settings.data / "logs"}
  {models}
{warnings}

Try it, in another terminal:
  . {shlex.quote(str(file))}
  TOKEN=$(curl -s "$SUPABASE_URL/auth/v1/token?grant_type=password" -H "apikey: $SUPABASE_PUBLISHABLE_KEY" \
-d "{{\\"email\\":\\"$DEMO_EMAIL\\",\\"password\\":\\"$DEMO_PASSWORD\\"}}" \
| sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  CHAT=$(curl -s -X POST "$API_URL/v1/conversations" -H "Authorization: Bearer $TOKEN" \
-H 'Content-Type: application/json' -d '{{}}' | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
  curl -N "$API_URL/v1/conversations/$CHAT/messages" -H "Authorization: Bearer $TOKEN" \
-H 'Accept: text/event-stream' -H 'Content-Type: application/json' -d '{{"content":"Hello, Parley"}}'
"""


def watch(settings: RunSettings, stack: LocalSupabase, apis: list[Child]) -> None:
    """Watch the processes, forever. A process that ends is started again, as an orchestrator would do, while the others
    keep running. Raises StackError when it does not start."""
    maintained = time.monotonic()
    notices = Notices()
    while True:
        for api in apis:
            for sentence in notices.fresh(api.log):
                print(f"warning: {sentence}", file=sys.stderr, flush=True)
        for part in tuple(stack.children):
            if not part.alive():
                _say_restart(part)
                stack.restart(part)
        for replica, api in enumerate(apis):
            if not api.alive():
                _say_restart(api)
                apis[replica] = start_api(settings, stack, replica)
                # do not wait for readiness, which may need a part that has ended too and is started next
                alive = partial(_answers, settings.api_port + replica, "/health/live")
                wait_until(alive, seconds=30, child=apis[replica])
        if time.monotonic() - maintained > _MAINTENANCE_SECONDS:
            maintained = time.monotonic()
            maintain(stack)
        time.sleep(0.5)


def maintain(stack: LocalSupabase) -> None:
    """Do the stack's hourly maintenance. If the database does not answer at that moment, the run continues."""
    try:
        stack.maintain()
    except psycopg.Error as error:
        print(f"maintenance failed, next try in an hour: {str(error).strip()}", flush=True)


def _say_restart(child: Child) -> None:
    print(f"{child.name} ended with status {child.process.returncode}; starting it again", flush=True)


if __name__ == "__main__":
    main()

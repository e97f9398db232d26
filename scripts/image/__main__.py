"""Builds the image's files, then runs them as in production, read-only and as nobody: the check, health, a whole turn,
a document, and the end."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from scripts.image.build import Image, build, size
from scripts.image.dockerfile import DockerfileError
from scripts.image.rootfs import RootError, require_namespaces
from scripts.install.package_index import PackageIndex
from scripts.install.steps import bare_environment
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.demo import ensure_demo_user
from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import free_port

START_SECONDS = 60.0
END_SECONDS = 12.0


def main() -> int:
    """Returns 0, or prints one line about what failed and returns 1."""
    try:
        require_namespaces()
        with tempfile.TemporaryDirectory(prefix="parley-image-") as folder:
            began = time.monotonic()
            image = build(REPOSITORY, Path(folder), _variables())
            took = time.monotonic() - began
            print(f"built in {took:.0f} s: {size(image.root.files) / 1e6:.0f} MB on top of the base image", flush=True)
            with LocalSupabase.throwaway() as stack:
                _try(image, stack)
    except (DockerfileError, RootError) as error:
        print(f"image-steps: {error}", file=sys.stderr)
        return 1
    print("the image works")
    return 0


def _variables() -> dict[str, str]:
    """This machine's settings of pip, uv and npm: an engine would have its own."""
    index = PackageIndex.of_pip(Path(sys.executable))
    variables = bare_environment() | index.pip_variables() | index.uv_variables()
    variables.pop("PATH")
    return variables


def _try(image: Image, stack: LocalSupabase) -> None:
    demo = ensure_demo_user(stack)
    port = free_port()
    environment = {
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "SUPABASE_SECRET_KEY": stack.secret_key,
        "PARLEY_PORT": str(port),
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
    }
    address = f"http://127.0.0.1:{port}"
    # warnings are expected: there is no provider but the demo
    _expect("check", image.command("check", **environment), lambda ended: ended.returncode == 1)
    files = 'import os, sys; open("/tmp/x", "w"); sys.exit(os.getuid() != 10001 or os.access("/parley", os.W_OK))'
    _expect("as nobody, read-only", image.other("python", "-c", files), lambda ended: ended.returncode == 0)
    write = image.other("sh", "-c", "touch /parley/x /opt/parley/x /etc/x")
    _expect("nothing can be written", write, lambda ended: ended.stderr.count("Read-only file system") == 3)
    with subprocess.Popen(image.command(**environment), stderr=subprocess.PIPE, text=True) as server:
        try:
            _await_health(image, server, environment)
            page = httpx.get(address, headers={"Accept": "text/html"}, timeout=20)
            if page.status_code != 200 or "<div id=" not in page.text:
                raise RootError(f"the web client is not served: {page.status_code}")
            print("ok  the web client is served", flush=True)
            user = {"PARLEY_EMAIL": demo.email, "PARLEY_PASSWORD": demo.password}
            smoke = image.other("python", "scripts/smoke.py", address, "--chat", "--completions", **user)
            _expect("smoke", smoke, lambda ended: ended.returncode == 0)
            _upload(address, stack, demo.email, demo.password)
            asked = time.monotonic()
            server.send_signal(signal.SIGTERM)
            server.wait(END_SECONDS)
            print(f"ok  SIGTERM ended it in {time.monotonic() - asked:.1f} s", flush=True)
            if server.returncode:
                raise RootError(f"the process ended with {server.returncode}")
        finally:
            server.kill()


def _await_health(image: Image, server: subprocess.Popen[str], environment: dict[str, str]) -> None:
    """Wait until the image's own health check passes."""
    until = time.monotonic() + START_SECONDS
    while subprocess.run(image.health_check(**environment), capture_output=True, check=False).returncode:
        if server.poll() is not None or time.monotonic() > until:
            server.kill()
            raise RootError(f"the health check does not pass:\n{server.stderr.read()[-2000:] if server.stderr else ''}")
        time.sleep(0.2)
    print("ok  the health check passes", flush=True)


def _upload(address: str, stack: LocalSupabase, email: str, password: str) -> None:
    """A file above the size that is kept in memory, which is read in a process of its own."""
    key = {"apikey": stack.publishable_key}
    body = {"email": email, "password": password}
    signed_in = httpx.post(f"{stack.url}/auth/v1/token?grant_type=password", headers=key, json=body, timeout=20)
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    text = "<p>The kitchen closes at ten.</p>\n" * 60_000
    files = {"file": ("rules.html", text.encode(), "text/html")}
    answer = httpx.post(f"{address}/v1/documents", headers=headers, files=files, timeout=60)
    if answer.status_code not in (201, 202, 422):
        raise RootError(f"a document cannot be uploaded: {answer.status_code} {answer.text[:500]}")
    print(f"ok  a document of {len(text) / 1e6:.1f} MB is read ({answer.status_code})", flush=True)


def _expect(what: str, words: list[str], right: Callable[[subprocess.CompletedProcess[str]], bool]) -> None:
    ended = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    if not right(ended):
        raise RootError(f"{what}: ended with {ended.returncode}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    print(f"ok  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Which address is the client's: one that a client has written itself is never taken from `X-Forwarded-For`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.proxies import behind_proxies
from app.settings import load_settings
from tests.support.required_settings import REQUIRED

DEPLOY = Path(__file__).parents[1] / "deploy"
FLY: str = tomllib.loads((DEPLOY / "fly.toml").read_text())["env"]["FORWARDED_ALLOW_IPS"]
PROXY, CLIENT, INVENTED = "10.0.0.7", "5.6.7.8", "9.9.9.9"


async def received(trusted: str, caller: str, *fields: str, proto: str | None = None) -> dict[str, Any]:
    """The scope that the application is given of a request with these fields `X-Forwarded-For`."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, *_: Any) -> None:
        scopes.append(scope)

    settings = load_settings({**REQUIRED, "FORWARDED_ALLOW_IPS": trusted})
    headers = [(b"host", b"chat.example.com"), *((b"x-forwarded-for", field.encode()) for field in fields)]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    front = behind_proxies(app, settings.forwarded_allow_ips, everybody=settings.every_proxy_is_trusted)
    scope = {"type": "http", "client": (caller, 4711), "scheme": "http", "headers": headers}
    await front(scope, None, None)  # type: ignore[arg-type]
    (scope,) = scopes
    return scope


@pytest.mark.parametrize("trusted", ["*", "0.0.0.0/0,::/0"])
@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ([CLIENT], CLIENT),
        ([f"{INVENTED}, {CLIENT}"], CLIENT),
        ([f"{INVENTED},{INVENTED} , {CLIENT} "], CLIENT),
        # a proxy may add a field of its own
        ([INVENTED, CLIENT], CLIENT),
        ([f"{INVENTED}, {CLIENT}:50123"], CLIENT),
        ([f"{INVENTED}, 2001:db8::5"], "2001:db8::5"),
        ([f"{INVENTED}, [2001:db8::5]:443"], "2001:db8::5"),
        # nothing that could be an address: the proxy's own counts
        ([f"{INVENTED}, "], PROXY),
        ([], PROXY),
    ],
)
async def test_where_everybody_is_trusted_the_last_entry_counts(trusted: str, fields: list[str], client: str) -> None:
    scope = await received(trusted, PROXY, *fields)
    assert scope["client"][0] == client
    assert scope["headers"][0] == (b"host", b"chat.example.com")


@pytest.mark.parametrize(("caller", "client"), [(PROXY, CLIENT), ("203.0.113.1", "203.0.113.1")])
async def test_named_proxies_in_a_row_are_passed_over(caller: str, client: str) -> None:
    scope = await received("10.0.0.0/8", caller, f"{INVENTED}, {CLIENT}, 10.0.0.9")
    assert scope["client"][0] == client


@pytest.mark.parametrize(("trusted", "scheme"), [("*", "https"), (PROXY, "https"), ("", "http")])
async def test_the_scheme_is_that_of_a_trusted_proxy(trusted: str, scheme: str) -> None:
    assert (await received(trusted, PROXY, CLIENT, proto="https"))["scheme"] == scheme


async def test_of_what_fly_sends_the_client_is_taken() -> None:
    """By its documentation, the addresses of the client and of the app come after what the client sent."""
    proxy, *own = FLY.split(",")
    assert proxy == "172.16.0.0/12"
    for app in own:
        assert (await received(FLY, "172.19.0.1", f"{INVENTED}, {CLIENT}, {app}"))["client"][0] == CLIENT
    # an address of the app that is not named is the same for all clients
    other = "198.51.100.9"
    assert (await received(FLY, "172.19.0.1", f"{INVENTED}, {CLIENT}, {other}"))["client"][0] == other

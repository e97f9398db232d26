"""Checks of this process's surroundings: origins, proxies, ports, open files, web client, Redis. Nothing is changed."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import redis.asyncio
from redis.exceptions import AuthenticationError, RedisError

from app.api.web import is_built
from app.check.findings import Check, Finding, failed, ok, warning
from app.settings import Settings

FEW_FILES = 4096
"""Open files. A process accepts as many connections as it may have open files, less some that it needs itself."""
REDIS_SECONDS = 5.0


def machine_checks(settings: Settings) -> dict[str, Check]:
    """The checks by name."""

    async def origins() -> Finding:
        return _origins(settings)

    async def proxies() -> Finding:
        return _proxies(settings)

    async def port() -> Finding:
        return await asyncio.to_thread(_port, settings.parley_host, settings.parley_port, "PARLEY")

    async def metrics() -> Finding:
        if settings.metrics_port is None:
            return ok("METRICS_PORT is not set: there are no metrics")
        return await asyncio.to_thread(_port, settings.metrics_host, settings.metrics_port, "METRICS")

    async def open_files() -> Finding:
        return _open_files()

    async def web() -> Finding:
        return _web(settings)

    checks: dict[str, Check] = {
        "origins": origins,
        "proxies": proxies,
        "port": port,
        "metrics": metrics,
        "open_files": open_files,
        "web": web,
    }
    if (url := settings.redis_url) is not None:

        async def shared_breakers() -> Finding:
            return await _redis(url)

        checks["redis"] = shared_breakers
    return checks


def _origins(settings: Settings) -> Finding:
    origins = settings.cors_allow_origins
    if not origins:
        own = " but those of the web client that it serves" if settings.web == "on" else ""
        return ok(f"CORS_ALLOW_ORIGINS is not set: no pages{own} may call the API")
    if "*" in origins or "null" in origins:
        return warning(
            f"CORS_ALLOW_ORIGINS has {'*' if '*' in origins else 'null'}: pages of any site may call the API",
            "name the origins of your pages, such as https://app.example.com",
        )
    if plain := [origin for origin in origins if origin.startswith("http://") and not _is_local(origin)]:
        return warning(
            f"CORS_ALLOW_ORIGINS has {plain[0]}, whose pages anybody on their way can change",
            "serve these pages over https, and name that origin",
        )
    return ok(f"pages of {', '.join(origins)} may call the API")


def _is_local(origin: str) -> bool:
    host = urlsplit(origin.removesuffix(":*")).hostname or ""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")


def _proxies(settings: Settings) -> Finding:
    trusted = settings.forwarded_allow_ips
    if settings.every_proxy_is_trusted:
        return warning(
            f"FORWARDED_ALLOW_IPS is {', '.join(trusted)}: a client's address is the last one of X-Forwarded-For, "
            "whoever sends it",
            "name the addresses or networks of your proxies, unless only one proxy can reach the port, and that one "
            "writes its client's address last",
        )
    way = _way_out(settings.supabase_url)
    if not trusted and settings.parley_host not in ("127.0.0.1", "::1", "localhost"):
        return warning(
            f"FORWARDED_ALLOW_IPS is not set: behind a proxy, all users have its address and share one limit{way}",
            "name the addresses of the proxies in front; leave it unset only if there are none",
        )
    return ok((f"X-Forwarded-For of {', '.join(trusted)} is trusted" if trusted else "no proxy is trusted") + way)


def _way_out(url: str) -> str:
    """Which proxy calls of the project take, by HTTPS_PROXY and the like; without the name and password in it."""
    parts = urlsplit(url)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return f"; calls of Supabase take the proxy {urlsplit(proxy).hostname}" if proxy else ""


def _port(host: str, port: int, prefix: str) -> Finding:
    """Whether this process may listen there. `prefix` is that of the two settings that say where."""
    where = f"{host}, port {port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return warning(
                f"{where}, is in use", f"end what listens there, or set {prefix}_PORT; ignore it if this is Parley"
            )
        reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return failed(
            f"{where}: this process may not listen there ({reason})",
            f"set {prefix}_HOST to an address of this machine, and {prefix}_PORT to a port above 1023",
        )
    own = _is_local(f"http://{f'[{host}]' if ':' in host else host}")
    return ok(f"{where}, is free" + (f"; only this machine can reach it ({prefix}_HOST)" if own else ""))


def _open_files() -> Finding:
    if sys.platform == "win32":
        return ok("this system sets no limit")
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < FEW_FILES:
        return warning(
            f"this process may open {files} files, so it accepts fewer connections than that",
            "raise the limit (`ulimit -n`, LimitNOFILE, nofile) to 65536",
        )
    return ok("this process may open any number of files" if files < 0 else f"this process may open {files} files")


def _web(settings: Settings) -> Finding:
    if settings.web == "off":
        return ok("the web client is not served (WEB=off)")
    if not is_built():
        return warning(
            "WEB=on, but web/dist is not built: the web client is not served",
            "build it with `make web-build`, or set WEB=off",
        )
    return ok("the web client is built, and served at /")


async def _redis(url: str) -> Finding:
    client = redis.asyncio.Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
    todo = "correct REDIS_URL; without it, each replica keeps its own circuit breakers"
    try:
        await client.ping()
    except AuthenticationError:
        return failed("Redis refuses the name or the password in REDIS_URL", todo)
    except (RedisError, OSError) as error:
        return failed(f"Redis does not answer at REDIS_URL ({type(error).__name__})", todo)
    finally:
        await client.aclose()
    return ok("Redis answers, and shares the circuit breakers")

"""The house rules that a machine can check: who imports whom, who uses the service's key, what a file looks like."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from app.store.client import ServiceCall
from tests.support.sources import APP, SOURCES, imports, shown

LEAVES = frozenset({"values", "errors", "observe", "watch"})
"""What anyone may import."""
ARROWS: dict[str, frozenset[str]] = {
    "api": frozenset({"chat", "guard", "lanes", "line", "modules", "personal_keys", "retrieval", "routing", "store"}),
    "chat": frozenset({"guard", "retrieval", "routing", "store"}),
    "guard": frozenset({"providers", "settings", "store"}),
    "retrieval": frozenset({"lanes", "providers", "settings", "store"}),
    "routing": frozenset({"providers", "settings"}),
    "settings": frozenset({"project_keys", "providers"}),
    "project_keys": frozenset(),
    "personal_keys": frozenset(),
    "providers": frozenset({"exchange", "modules"}),
    "store": frozenset({"exchange", "lanes", "personal_keys"}),
    "exchange": frozenset(),
    "lanes": frozenset(),
    "modules": frozenset(),
    "misspelt": frozenset({"providers", "settings"}),
    "startup": frozenset({"providers", "routing", "settings"}),
    "supervisor": frozenset(),
    "main": frozenset(
        {"api", "chat", "guard", "retrieval", "routing", "providers", "settings", "startup", "store", "supervisor"}
    ),
    "line": frozenset(),
    "front_door": frozenset({"line"}),
    "proxies": frozenset(),
    "telemetry": frozenset({"providers", "settings"}),
    "trace_settings": frozenset({"settings"}),
    "measured": frozenset({"lanes", "main", "providers", "settings", "store", "telemetry"}),
    "serve": frozenset(
        {"front_door", "main", "measured", "misspelt", "proxies", "settings", "telemetry", "trace_settings"}
    ),
    "admin": frozenset({"admin_arguments", "admin_keys", "admin_retention", "providers", "settings", "store"}),
    "admin_arguments": frozenset(),
    "admin_keys": frozenset({"admin_arguments", "personal_keys", "store"}),
    "admin_retention": frozenset({"admin_arguments", "store"}),
    "check": frozenset(
        {
            "api",
            "misspelt",
            "project_keys",
            "providers",
            "retrieval",
            "routing",
            "settings",
            "store",
            "telemetry",
            "trace_settings",
        }
    ),
    "__main__": frozenset({"check", "modules", "serve"}),
    "__init__": frozenset(),
}
"""The stages, and what each may import beside the leaves. One that is not here fails the test."""
LEAF_ARROWS = {
    "errors": frozenset({"values"}),
    "values": frozenset(),
    "observe": frozenset(),
    "watch": frozenset({"errors", "observe", "values"}),
}
STAGE_OF_LIBRARY = {
    "litestar": {"api", "main", "serve"},
    "uvicorn": {"front_door", "line", "proxies", "serve"},
    "jwt": {"api"},
    "postgrest": {"store"},
    "supabase": {"retrieval"},
    "openai": {"providers"},
    "anthropic": {"providers"},
    "google": {"providers"},
    "ollama": {"providers"},
    "tenacity": {"routing"},
    "pybreaker": {"routing"},
    "prometheus_client": {"telemetry"},
    "opentelemetry": {"telemetry"},
}
"""Where a library may be seen; behind that, it can be replaced."""
SERVICE_STORES = frozenset(
    f"app/store/{subject}.py"
    for subject in (
        "replies",
        "charges",
        "completions",
        "titles",
        "indexing",
        "limits",
        "plans",
        "prices",
        "project",
        "imports",
        "keys",
        "retention",
    )
)
"""The modules that act for the service, with its key; every other acts for a user."""
LONGEST_FILE = 400


def stage_of(path: Path) -> str:
    first = path.relative_to(APP).parts[0]
    return first.removesuffix(".py")


def stages(source: str) -> set[str]:
    """The stages and leaves of `app` that a file imports."""
    return {name.split(".")[1] for name in imports(source) if name.startswith("app.")} - {"__version__"}


def allowed(stage: str) -> frozenset[str]:
    return LEAF_ARROWS[stage] if stage in LEAF_ARROWS else ARROWS[stage] | LEAVES | {stage}


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_arrows_point_down(path: Path) -> None:
    forbidden = stages(SOURCES[path]) - allowed(stage_of(path))
    assert not forbidden, f"{stage_of(path)} may not import {sorted(forbidden)}"


def test_arrows_make_no_circle() -> None:
    order: list[str] = []
    waiting = dict(ARROWS)
    while waiting:
        free = [stage for stage, below in waiting.items() if below <= set(order)]
        assert free, f"a circle among {sorted(waiting)}"
        order += free
        for stage in free:
            del waiting[stage]


@pytest.mark.parametrize(
    "source",
    [
        "import app.store.client",
        "from app.store import client",
        "from app import store",
        "def late():\n    from app.store.client import Supabase",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import app.store.rows as rows",
    ],
)
def test_no_way_of_importing_is_overlooked(source: str) -> None:
    assert stages(source) == {"store"}


@pytest.mark.parametrize("library", STAGE_OF_LIBRARY)
def test_library_is_seen_in_its_stage_only(library: str) -> None:
    seen = {
        stage_of(path)
        for path, source in SOURCES.items()
        if library in {name.split(".")[0] for name in imports(source)}
    }
    assert seen <= STAGE_OF_LIBRARY[library]


def test_service_key_is_used_by_the_named_jobs_only() -> None:
    called: list[str] = []
    for path, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and node.attr == "service_rpc":
                assert shown(path) in SERVICE_STORES
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "service_rpc":
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{shown(path)}:{node.lineno} does not name what it calls"
                called.append(str(name.value))
    assert sorted(called) == sorted(get_args(ServiceCall))
    assert [shown(path) for path, source in SOURCES.items() if "_service_headers" in source] == ["app/store/client.py"]
    holders = {shown(path) for path, source in SOURCES.items() if "secret_key" in source}
    # the service and the commands each open their own connection with it
    opened = {"app/main.py", "app/retrieval/reembed.py", "app/check/command.py"}
    # beside them, a name of a check and the kinds of keys
    assert holders == {"app/settings.py", "app/store/client.py", "app/check/project.py"} | opened


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_file_says_what_it_is_for_and_is_short(path: Path) -> None:
    source = SOURCES[path]
    assert ast.get_docstring(ast.parse(source))
    assert len(source.splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", [path for path in SOURCES if shown(path) != "app/chat/live.py"], ids=shown)
def test_replies_and_followers_change_by_their_methods_alone(path: Path) -> None:
    for node in ast.walk(ast.parse(SOURCES[path])):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            owner = ast.unparse(node.value).rpartition(".")[2].lstrip("_")
            assert owner not in ("reply", "follower"), f"{shown(path)}:{node.lineno}"

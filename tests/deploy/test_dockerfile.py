"""The Dockerfile: what it promises, what it copies, and that the scripts that carry it out leave nothing out."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

import pytest

from app.api import web
from app.store import project
from scripts.image.dockerfile import DockerfileError, Instruction, ignored, instructions, rules_of, stages
from scripts.install.command import REPOSITORY
from scripts.local_supabase.node import NODE
from tests.deploy.conftest import Tools

DOCKERFILE = REPOSITORY / "Dockerfile"
STAGES = {stage.name: stage for stage in stages(DOCKERFILE)}
RULES = rules_of(REPOSITORY / ".dockerignore")


def test_the_linter_finds_nothing(tools: Tools) -> None:
    ended = tools.run("hadolint", "Dockerfile")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_linter_would_find_something(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /x && pip install httpx\n")
    assert tools.run("hadolint", tmp_path / "Dockerfile").returncode == 1


def test_bases_are_the_python_and_the_node_of_the_tests() -> None:
    version = ".".join(platform.python_version_tuple()[:2])
    node = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
    # without the digests that `make pin-images` and Renovate write
    bases = {name: re.sub(r"@sha256:[0-9a-f]{64}$", "", stage.base) for name, stage in STAGES.items()}
    assert bases["web"] == f"docker.io/library/node:{node}-bookworm-slim"
    assert bases["packages"] == bases["parley"]
    # the oldest Python that Parley runs on is the one that all tests run on, here and in CI
    assert re.fullmatch(r"docker\.io/library/python:3\.11-slim-bookworm", bases["parley"]), version


def test_the_last_stage_runs_nothing_and_ends_as_nobody() -> None:
    last = list(STAGES.values())[-1]
    assert last.name == "parley"
    assert [one.name for one in last.instructions if one.name == "RUN"] == []
    assert {one.options["from"] for one in last.instructions if one.name == "COPY"} == {"packages"}
    user, _, group = last.last("USER").rest.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert last.last("ENTRYPOINT").command == ["python", "-m", "app"]
    assert last.environment({"PATH": "/bin"}) == {
        "PATH": "/opt/parley/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/tmp",  # noqa: S108
        "PARLEY_HOST": "0.0.0.0",  # noqa: S104
    }


def test_packages_are_those_of_the_lock_with_their_hashes() -> None:
    (install, _) = (one.rest for one in STAGES["packages"].instructions if one.name == "RUN")
    assert install.count("--require-hashes") == 2
    assert "--only-binary=:all:" in install
    assert "--no-build" in install
    (ci, _) = (one.rest for one in STAGES["web"].instructions if one.name == "RUN")
    assert ci.startswith("npm ci --ignore-scripts")


def test_what_the_code_looks_for_beside_itself_is_copied() -> None:
    copied = {
        one.arguments.split()[-1] for stage in STAGES.values() for one in stage.instructions if one.name == "COPY"
    }
    for folder in (project.MIGRATIONS, web.BUILD, REPOSITORY / "app", REPOSITORY / "scripts/smoke.py"):
        assert f"/build/parley/{folder.relative_to(REPOSITORY)}" in copied


def test_the_health_check_asks_the_process_itself() -> None:
    check = Instruction("CMD", STAGES["parley"].last("HEALTHCHECK").arguments.removeprefix("CMD ")).command
    assert check[:2] == ["python", "-c"]
    compile(check[2], "HEALTHCHECK", "exec")
    assert "'/health/live'" in check[2]


@pytest.mark.parametrize(
    ("path", "out"),
    [
        (".env", True),
        (".git/config", True),
        (".parley/env", True),
        (".venv/bin/python", True),
        ("tests/conftest.py", True),
        ("supabase/signing_keys.json", True),
        ("supabase/.temp/project-ref", True),
        ("scripts/run.py", True),
        ("web/dist/index.html", True),
        ("app/__pycache__/main.pyc", True),
        ("app/providers/openai/__pycache__/x.pyc", True),
        ("app/main.py", False),
        ("app/providers/openai/chat.py", False),
        ("web/src/main.tsx", False),
        ("web/index.html", False),
        ("supabase/migrations/20261122120000_x.sql", False),
        ("scripts/smoke.py", False),
        ("requirements.lock", False),
    ],
)
def test_only_what_is_needed_is_sent_to_the_builder(path: str, out: bool) -> None:
    assert ignored(RULES, path) is out


def test_everything_that_is_copied_is_sent() -> None:
    for stage in STAGES.values():
        for one in stage.instructions:
            if one.name == "COPY" and "from" not in one.options:
                for name in one.arguments.split()[:-1]:
                    found = REPOSITORY / name
                    files = [found] if found.is_file() else [path for path in found.rglob("*") if path.is_file()]
                    sent = [path for path in files if not ignored(RULES, str(path.relative_to(REPOSITORY)))]
                    assert sent, f"COPY {name}"


def test_lines_are_joined_as_docker_joins_them() -> None:
    text = "# a comment\nFROM a AS b\nRUN one \\\n    # said in between\n    && two\nCOPY --from=b /x /y\n"
    found = list(instructions(text))
    assert [one.name for one in found] == ["FROM", "RUN", "COPY"]
    assert found[1].rest.split() == ["one", "&&", "two"]
    assert (found[2].options, found[2].arguments) == ({"from": "b"}, "/x /y")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("VOLUME /data", "VOLUME"),
        ("COPY --chmod=755 /x /y", "COPY --chmod"),
        ("COPY --from=c --chown=1:1 /x /y", "COPY --chown"),
        ("RUN --mount=type=cache,target=/root true", "RUN --mount"),
        ("FROM --platform=linux/amd64 a AS c", "FROM --platform"),
        ("ARG LATER=1", "ARG after the first FROM"),
    ],
)
def test_what_is_not_carried_out_is_refused(tmp_path: Path, line: str, named: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM a AS b\n{line}\n")
    with pytest.raises(DockerfileError, match=f"^{named} is not carried out"):
        stages(tmp_path / "Dockerfile")

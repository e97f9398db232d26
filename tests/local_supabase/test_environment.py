"""The settings of `make run`, from the environment and `.env`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local_supabase import environment
from scripts.local_supabase.environment import RunSettings
from scripts.local_supabase.processes import StackError


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with no `.env`, and an environment that says nothing."""
    monkeypatch.setattr(environment, "REPOSITORY", tmp_path)
    for name in ("PARLEY_PORT", "PARLEY_SUPABASE_PORT", "PARLEY_DB_PORT", "PARLEY_DATA", "PARLEY_REPLICAS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_environment_is_above_the_file(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / ".env").write_text("PARLEY_PORT=8001\nPARLEY_DB_PORT=5001\nOPENAI_API_KEY=key\nOPENAI_APIKEY=\n")
    monkeypatch.setenv("PARLEY_PORT", "8002")
    settings = RunSettings.load()
    assert (settings.api_port, settings.supabase_port, settings.db_port) == (8002, 54321, 5001)
    assert settings.inherited["OPENAI_API_KEY"] == "key"
    # the names of the file, with or without a value, are kept apart: they are judged more strictly
    assert settings.in_file == ("PARLEY_PORT", "PARLEY_DB_PORT", "OPENAI_API_KEY", "OPENAI_APIKEY")
    assert "OPENAI_API_KEY" not in settings.environment


def test_each_replica_has_its_own_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_REPLICAS", "2")
    monkeypatch.setenv("METRICS_PORT", "9464")
    settings = RunSettings.load()
    assert settings.ports_of(0) == {"PARLEY_PORT": 8000, "METRICS_PORT": 9464}
    assert settings.ports_of(1) == {"PARLEY_PORT": 8001, "METRICS_PORT": 9465}


def test_there_are_no_metrics_by_default() -> None:
    assert RunSettings.load().ports_of(0) == {"PARLEY_PORT": 8000}


@pytest.mark.parametrize(("value", "folder"), [("", ".parley"), ("other", "other"), ("/elsewhere", "/elsewhere")])
def test_data_folder(repository: Path, monkeypatch: pytest.MonkeyPatch, value: str, folder: str) -> None:
    """An empty name is none: the database does not spread over the repository."""
    monkeypatch.setenv("PARLEY_DATA", value)
    assert RunSettings.load().data == repository / folder


@pytest.mark.parametrize(
    ("name", "port", "replicas", "why"),
    [
        ("PARLEY_SUPABASE_PORT", "8000", "1", "PARLEY_SUPABASE_PORT and PARLEY_PORT are both 8000"),
        ("PARLEY_DB_PORT", "54321", "1", "PARLEY_DB_PORT and PARLEY_SUPABASE_PORT are both 54321"),
        ("PARLEY_DB_PORT", "8001", "2", "PARLEY_DB_PORT and PARLEY_PORT are both 8001: .*second replica"),
        ("METRICS_PORT", "8001", "2", "PARLEY_PORT and METRICS_PORT are both 8001: .*second replica"),
        ("METRICS_PORT", "54321", "1", "PARLEY_SUPABASE_PORT and METRICS_PORT are both 54321"),
    ],
)
def test_one_port_for_two_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, port: str, replicas: str, why: str
) -> None:
    monkeypatch.setenv(name, port)
    monkeypatch.setenv("PARLEY_REPLICAS", replicas)
    with pytest.raises(StackError, match=why):
        RunSettings.load()


def test_a_file_that_is_no_text_is_named(repository: Path) -> None:
    (repository / ".env").write_bytes(b"\xff\xfeO\x00")
    with pytest.raises(StackError, match=r"\.env cannot be read"):
        RunSettings.load()

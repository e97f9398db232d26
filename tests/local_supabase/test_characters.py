"""LC_CTYPE: words of every script are told from the punctuation around them, also in a data folder of before."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase, StackError, postgres
from scripts.local_supabase.postgres import Postgres
from scripts.local_supabase.processes import free_port
from tests.support.data_folder import data_folder

CHARACTER_TYPES = "select distinct datctype from pg_catalog.pg_database"


class Servers:
    """Runs Postgres, without the rest of the stack, on one data folder."""

    def __init__(self, folder: Path) -> None:
        self._postgres = Postgres(
            folder / "postgres", port=free_port(), password="secret", log=folder / "log", throwaway=True
        )

    @contextmanager
    def running(self) -> Generator[psycopg.Connection]:
        child = self._postgres.start()
        try:
            with self._postgres.connect() as connection:
                yield connection
        finally:
            child.stop()

    def make_old(self) -> None:
        """As folders were made: with LC_CTYPE C, and with something in it."""
        with self.running() as connection:
            connection.execute("update pg_catalog.pg_database set datctype = 'C'")
            connection.execute("create table kept as select 'Größe' as name")


@pytest.fixture
def servers() -> Iterator[Servers]:
    with data_folder() as folder:
        yield Servers(folder)


def character_type(connection: psycopg.Connection) -> str:
    [(found,)] = connection.execute(CHARACTER_TYPES).fetchall()
    return str(found)


def test_a_new_database_knows_letters(stack: LocalSupabase) -> None:
    with psycopg.connect(stack.superuser_url) as connection:
        assert character_type(connection).upper().endswith("UTF-8")
        parsed = connection.execute(
            "select token from ts_parse('default', '“слово”、「말」') where tokid = 2"
        ).fetchall()
    assert parsed == [("слово",), ("말",)]


def test_trigrams_beyond_ascii(stack: LocalSupabase) -> None:
    with psycopg.connect(stack.database_url) as owner:
        owner.execute("create extension if not exists pg_trgm with schema extensions")
        for text in ("Москва", "서울시청", "กรุงเทพ"):
            assert owner.execute("select extensions.similarity(%s, %s)", [text, f"“{text}”"]).fetchone() == (1,)
        owner.rollback()


def test_a_folder_of_before_is_changed_in_place(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    servers.make_old()
    assert capsys.readouterr().out == ""
    with servers.running() as connection:
        now = character_type(connection)
        assert now.upper().endswith("UTF-8")
        assert connection.execute("select name from kept").fetchall() == [("Größe",)]
    assert f"had LC_CTYPE C; it is {now} now" in capsys.readouterr().out
    with servers.running():
        assert capsys.readouterr().out == ""


def test_a_folder_of_before_on_a_system_without_such_a_locale(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with what to do, and left as it was: with a locale that is not there nobody could connect."""
    servers.make_old()
    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_CHARACTER_TYPES", ("xx_XX.UTF-8",))
        refusal = r"cannot tell letters .* install one of the locales xx_XX\.UTF-8"
        with pytest.raises(StackError, match=refusal), servers.running():
            pass
    with servers.running() as connection:
        assert connection.execute("select name from kept").fetchall() == [("Größe",)]


def test_the_first_locale_that_the_system_has(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_CHARACTER_TYPES", ("xx_XX.UTF-8", *postgres._CHARACTER_TYPES))
    with servers.running() as connection:
        assert character_type(connection) in postgres._CHARACTER_TYPES[1:]


def test_a_system_without_any(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_CHARACTER_TYPES", ("xx_XX.UTF-8", "yy_YY.UTF-8"))
    with (
        pytest.raises(StackError, match=r"initdb failed, tried with LC_CTYPE xx_XX\.UTF-8, yy_YY\.UTF-8"),
        servers.running(),
    ):
        pass

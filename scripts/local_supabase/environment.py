"""Settings of `make run`: ports, data folder and replicas, from the environment and `.env`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import StackError


@dataclass(frozen=True)
class RunSettings:
    """The settings of `make run`. `environment` is the process's environment, `in_file` the names in `.env`, and
    `inherited` the environment for the API: the values of `.env`, overridden by `environment`."""

    api_port: int
    supabase_port: int
    db_port: int
    data: Path
    replicas: int
    metrics_port: int | None
    environment: Mapping[str, str]
    in_file: Sequence[str]
    inherited: Mapping[str, str]

    @classmethod
    def load(cls) -> RunSettings:
        """Read `.env` and the environment, which wins. Raises StackError, naming the variable, for a wrong value."""
        written = _from_file()
        inherited = {**{name: value for name, value in written.items() if value}, **os.environ}
        settings = cls(
            api_port=_number(inherited, "PARLEY_PORT", 8000, 65534),
            supabase_port=_number(inherited, "PARLEY_SUPABASE_PORT", 54321, 65535),
            db_port=_number(inherited, "PARLEY_DB_PORT", 54322, 65535),
            data=REPOSITORY / (inherited.get("PARLEY_DATA") or ".parley"),
            replicas=_number(inherited, "PARLEY_REPLICAS", 1, 2),
            metrics_port=_number(inherited, "METRICS_PORT", 0, 65534) if inherited.get("METRICS_PORT") else None,
            environment=dict(os.environ),
            in_file=tuple(written),
            inherited=inherited,
        )
        settings._require_different_ports()
        return settings

    def ports_of(self, replica: int) -> dict[str, int]:
        """The ports that a replica listens on, by the settings that name those of the first. Replicas are numbered
        from 0."""
        ports = {"PARLEY_PORT": self.api_port + replica}
        return ports if self.metrics_port is None else {**ports, "METRICS_PORT": self.metrics_port + replica}

    def _require_different_ports(self) -> None:
        wanted = [(name, port) for replica in range(self.replicas) for name, port in self.ports_of(replica).items()]
        uses: dict[int, str] = {}
        for name, port in (*wanted, ("PARLEY_SUPABASE_PORT", self.supabase_port), ("PARLEY_DB_PORT", self.db_port)):
            if port in uses:
                second = "; a second replica has the ports after those of the first" if self.replicas == 2 else ""
                raise StackError(f"{name} and {uses[port]} are both {port}: set one of them{second}")
            uses[port] = name


def _from_file() -> dict[str, str | None]:
    try:
        return dotenv_values(REPOSITORY / ".env")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f".env cannot be read: {error}") from error


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name, "") or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise StackError(f"{name} must be a number from 1 to {most}, not {text!r}")
    return int(text)

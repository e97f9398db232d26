"""The configuration of a channel that a client joins. Values that cannot be read count as not set."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from scripts.local_supabase.realtime.replay import MAX_MESSAGES


@dataclass(frozen=True, slots=True)
class JoinConfig:
    """The payload of a join. `token` is None when the connection's own token applies."""

    private: bool
    ack: bool
    receives_own: bool
    presence_key: str
    presence: bool
    replay: dict[str, Any] | None
    replication_ready: bool
    postgres_changes: bool
    token: str | None

    @property
    def replay_range(self) -> tuple[int, int] | None:
        """The start of the replay (Unix milliseconds) and the number of messages; None for a malformed request."""
        asked = self.replay or {}
        since, limit = asked.get("since"), asked.get("limit") or MAX_MESSAGES
        if type(since) is int and type(limit) is int and abs(since) < 2**53:
            return since, limit
        return None

    @classmethod
    def of(cls, payload: object) -> JoinConfig:
        joined = _map(payload)
        config = _map(joined.get("config"))
        broadcast, presence = _map(config.get("broadcast")), _map(config.get("presence"))
        key = presence.get("key")
        replay = broadcast.get("replay")
        return cls(
            private=_flag(config.get("private")),
            ack=_flag(broadcast.get("ack")),
            receives_own=_flag(broadcast.get("self")),
            presence_key=key if isinstance(key, str) and key.strip() else str(uuid.uuid1()),
            presence=_flag(presence.get("enabled")),
            replay=None if replay is None else _map(replay),
            replication_ready=_flag(broadcast.get("replication_ready")),
            postgres_changes=bool(config.get("postgres_changes")),
            token=_token(joined.get("user_token")) or _token(joined.get("access_token")),
        )


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flag(value: object) -> bool:
    return value is True or value == "true"


def _token(value: object) -> str | None:
    return value if isinstance(value, str) and not value.startswith("sb_") else None

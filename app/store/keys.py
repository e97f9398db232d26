"""Personal keys: their owners make, list and revoke them, with their own token; the service checks them, and the
operator manages them, with the service's key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.personal_keys import NewKey
from app.store.client import Supabase


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without the key itself. `hint` is how it begins; `last_used_at` is exact to the minute."""

    id: str
    name: str
    hint: str
    scope: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class CheckedKey(msgspec.Struct, frozen=True):
    """A key that is valid now, and its owner. `expires_at` in seconds since 1970."""

    key_id: str
    user_id: str
    expires_at: float | None


class Keys:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def create(self, token: str, key: NewKey, name: str, expires_at: datetime | None) -> StoredKey:
        """Store a key of the user. Raises `InvalidRequest`, and `LimitReached` for a user with as many as there may
        be."""
        return await self._supabase.user_rpc(token, "create_key", _new(key, name, expires_at), StoredKey)

    async def all(self, token: str) -> Sequence[StoredKey]:
        """The user's keys, the newest first."""
        return await self._supabase.user_rpc(token, "my_keys", {}, list[StoredKey])

    async def revoke(self, token: str, key_id: str) -> None:
        """Raises `NotFound`."""
        await self._supabase.user_rpc(token, "revoke_key", {"p_key_id": key_id}, object)

    async def check(self, key_hash: str) -> CheckedKey | None:
        """The valid key that has this hash, and note its use."""
        return await self._supabase.service_rpc("check_key", {"p_hash": key_hash}, CheckedKey | None)  # type: ignore[arg-type]

    async def create_for(self, email: str, key: NewKey, name: str, expires_at: datetime | None) -> StoredKey:
        """As `create`, for the user with this e-mail address. Raises `NotFound` too."""
        arguments = {"p_email": email, **_new(key, name, expires_at)}
        return await self._supabase.service_rpc("admin_create_key", arguments, StoredKey)

    async def all_of(self, email: str) -> Sequence[StoredKey]:
        """As `all`, of the user with this e-mail address. Raises `NotFound`."""
        return await self._supabase.service_rpc("admin_keys", {"p_email": email}, list[StoredKey])

    async def revoke_any(self, key_id: str) -> StoredKey:
        """Revoke the key of whatever user; what it was. Raises `NotFound`."""
        return await self._supabase.service_rpc("admin_revoke_key", {"p_key_id": key_id}, StoredKey)


def _new(key: NewKey, name: str, expires_at: datetime | None) -> dict[str, object]:
    return {"p_name": name, "p_hash": key.hash, "p_hint": key.hint, "p_expires_at": expires_at}

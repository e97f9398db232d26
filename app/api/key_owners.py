"""Owners of personal keys: whose key a request carries, as the database says, remembered for a few seconds."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from app.errors import SupabaseUnavailable, Unauthenticated
from app.lanes import Lane
from app.personal_keys import hash_of, is_whole
from app.store.keys import CheckedKey
from app.values import User

KEY_SECONDS = 10.0
"""How long an answer of the database counts: a key that is revoked works on other replicas for so long at most."""
REMEMBERED_KEYS = 10_000
"""Beyond them the one that was checked first is forgotten, and is checked again when it comes."""
CHECKS_AT_ONCE = 4
"""Connections to Supabase that checks of keys take."""
CHECKS_WAITING, CHECKS_WAITING_OF_ALL = 100, 1000
"""Checks that wait, for one address and for all."""
WAIT_SECONDS = 5.0


class KeyStore(Protocol):
    async def check(self, key_hash: str) -> CheckedKey | None: ...


class _Remembered(NamedTuple):
    owner: User
    key_id: str
    until: float


def _full() -> SupabaseUnavailable:
    return SupabaseUnavailable("Too many keys wait to be checked; send the request again.", retry_after=1)


class KeyOwners:
    """Those of a process.

    Only valid keys are remembered, so whoever tries keys that do not exist takes no memory. Addresses take turns in
    having unknown keys checked: one that sends many does not keep the others waiting.
    """

    def __init__(self, store: KeyStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._checks: dict[str, asyncio.Task[User]] = {}
        self._revocations = 0
        self._lane = Lane(
            at_once=CHECKS_AT_ONCE,
            share=CHECKS_AT_ONCE,
            waiting=CHECKS_WAITING,
            waiting_of_all=CHECKS_WAITING_OF_ALL,
            seconds=WAIT_SECONDS,
            what="checks of keys",
            full=_full,
        )

    async def find(self, key: str, address: str) -> User:
        """The owner of a key that somebody at `address` has sent. Raises `Unauthenticated`, `SupabaseUnavailable`, and
        `RateLimited` where too many keys of this address wait."""
        if not is_whole(key):
            raise Unauthenticated("This is no complete personal key: it is cut off or mistyped. Copy it again.")
        key_hash = hash_of(key)
        remembered = self._remembered.get(key_hash)
        if remembered is not None:
            if self._clock() < remembered.until:
                return remembered.owner
            del self._remembered[key_hash]
        check = self._checks.get(key_hash)
        if check is None:
            self._checks[key_hash] = check = asyncio.create_task(self._check(key_hash, address))
            check.add_done_callback(lambda done: self._checked(key_hash, done))
        # whoever goes away does not take the answer from the others who wait for it
        return await asyncio.shield(check)

    def forget(self, key_id: str) -> None:
        """The key was revoked here: it does not work in this process from now on."""
        self._revocations += 1
        for key_hash, remembered in tuple(self._remembered.items()):
            if remembered.key_id == key_id:
                del self._remembered[key_hash]

    async def _check(self, key_hash: str, address: str) -> User:
        await self._lane.enter(address)
        try:
            until, revocations = self._clock() + KEY_SECONDS, self._revocations
            found = await self._store.check(key_hash)
        finally:
            self._lane.leave(address)
        if found is None:
            raise Unauthenticated("This personal key does not exist any more: it was revoked or has expired.")
        owner = User(found.user_id, token="", expires_at=math.inf)
        if revocations != self._revocations:
            return owner  # it may be the one that was revoked while the database was asked
        self._remembered[key_hash] = _Remembered(owner, found.key_id, min(until, found.expires_at or until))
        if len(self._remembered) > REMEMBERED_KEYS:
            self._remembered.popitem(last=False)
        return owner

    def _checked(self, key_hash: str, check: asyncio.Task[User]) -> None:
        del self._checks[key_hash]
        if not check.cancelled():
            check.exception()  # seen, also where all who waited have gone away

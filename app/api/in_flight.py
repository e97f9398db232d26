"""Bodies in flight: limits how many bytes of request bodies the process holds, in total and for each user.

Bytes are counted when they arrive, not when they are announced. They are counted until the request ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import Draining, RateLimited

SMALL_BYTES = 1_048_576
"""Bodies up to this size may also use `KEPT_FOR_SMALL_BYTES`, so that documents do not block messages."""
KEPT_FOR_SMALL_BYTES = 16_777_216
RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Share:
    """How many bytes may be in flight: for a user, and for the process in bodies larger than `SMALL_BYTES`."""

    user: int
    large: int

    @classmethod
    def for_bodies_of(cls, most: int) -> Share:
        """Room for two bodies of the largest size for a user, and three for the process."""
        return cls(user=2 * most, large=3 * most)

    @property
    def process(self) -> int:
        return self.large + KEPT_FOR_SMALL_BYTES


class InFlight:
    """The bodies of a process."""

    def __init__(self, share: Share) -> None:
        self.share = share
        self.bytes = 0
        self._of_user: dict[str, int] = {}

    def body_of(self, user_id: str) -> Body:
        return Body(self, user_id)

    def take(self, user_id: str, size: int, *, large: bool) -> None:
        """Raises `RateLimited` when the user has too many bytes in flight, `Draining` when the process has."""
        share = self.share
        held = self._of_user.get(user_id, 0)
        if held + size > share.user:
            raise RateLimited(
                f"Too much is being sent at once: at most {share.user} bytes of a user.", retry_after=RETRY_SECONDS
            )
        if self.bytes + size > (share.large if large else share.process):
            raise Draining("This server takes in as much as it can; send the request again.", retry_after=RETRY_SECONDS)
        self.bytes += size
        self._of_user[user_id] = held + size

    def give_back(self, user_id: str, size: int) -> None:
        self.bytes -= size
        left = self._of_user[user_id] - size
        if left:
            self._of_user[user_id] = left
        else:
            del self._of_user[user_id]


class Body:
    """The body of one request."""

    __slots__ = ("_account", "_user_id", "bytes", "complete")

    def __init__(self, account: InFlight, user_id: str) -> None:
        self._account = account
        self._user_id = user_id
        self.bytes = 0
        self.complete = False
        """All of it has come."""

    def grow(self, size: int) -> None:
        """Raises what `InFlight.take` raises."""
        self._account.take(self._user_id, size, large=self.bytes + size > SMALL_BYTES)
        self.bytes += size

    def release(self) -> None:
        if self.bytes:
            self._account.give_back(self._user_id, self.bytes)
            self.bytes = 0

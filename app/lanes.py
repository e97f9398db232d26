"""Lanes: limit how much of a shared resource one user's calls take at the same time, and let users take turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from app.errors import RateLimited, Unavailable

RETRY_SECONDS = 1.0
"""The `Retry-After` of a refusal."""


class Load(NamedTuple):
    """How full a lane is: calls that run and how many may, calls that wait, how many have had to wait so far, and for
    how many seconds altogether."""

    running: int
    at_once: int
    waiting: int
    waited: int
    waited_seconds: float


class _Calls:
    """One user's calls in a lane."""

    __slots__ = ("in_line", "running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[asyncio.Future[bool]] = deque()
        self.in_line = False


class Lane:
    """At most `at_once` calls run at the same time, and at most `share` of one user. Further calls wait for at most
    `seconds`: the calls of one user in their order, the users in turn.

    At most `waiting` calls of one user wait, and `waiting_of_all` of all users. A user's call beyond the user's own
    numbers is refused with `RateLimited`. When as many wait as may, a new call takes the place of the newest call of
    the user with the most, which is refused in this way; if no user has more, the new call is refused with what `full`
    returns.
    """

    def __init__(
        self,
        *,
        at_once: int,
        share: int,
        waiting: int,
        waiting_of_all: int,
        seconds: float,
        what: str,
        full: Callable[[], Unavailable],
    ) -> None:
        """`what` names the calls in a refusal, for example "calls of the database"."""
        self._free = self._at_once = at_once
        self._share = share
        self._most_waiting = waiting
        self._most_waiting_of_all = waiting_of_all
        self._seconds = seconds
        self._what = what
        self._full = full
        self._waiting = 0
        """How many calls stand in the queues of all users."""
        self._waited = 0
        self._waited_seconds = 0.0
        self._users: dict[str, _Calls] = {}
        """The users with a running or waiting call."""
        self._line: deque[_Calls] = deque()
        """The users with a waiting call for which their share has room, in turn."""

    def __len__(self) -> int:
        """How many users have a running or waiting call."""
        return len(self._users)

    @property
    def load(self) -> Load:
        running = self._at_once - self._free
        return Load(running, self._at_once, self._waiting, self._waited, self._waited_seconds)

    async def enter(self, user: str) -> None:
        """Wait until the call may run; `leave` must follow. Raises `RateLimited`, and what `full` returns."""
        calls = self._users.get(user)
        if calls is None:
            self._users[user] = calls = _Calls()
        if self._free and calls.running < self._share:
            self._free -= 1
            calls.running += 1
        else:
            await self._wait(user, calls)

    def leave(self, user: str) -> None:
        """The call is over: the next one may run."""
        calls = self._users[user]
        self._free += 1
        calls.running -= 1
        if calls.waiting:
            self._stand_in_line(calls)
        elif not calls.running:
            del self._users[user]
        while self._free and self._line:
            calls = self._line.popleft()
            calls.in_line = False
            while calls.waiting:
                turn = calls.waiting.popleft()
                self._waiting -= 1
                if not turn.done():  # else the call has just been cancelled
                    self._free -= 1
                    calls.running += 1
                    turn.set_result(True)
                    break
            self._stand_in_line(calls)

    def _stand_in_line(self, calls: _Calls) -> None:
        if calls.waiting and calls.running < self._share and not calls.in_line:
            calls.in_line = True
            self._line.append(calls)

    async def _wait(self, user: str, calls: _Calls) -> None:
        if len(calls.waiting) >= self._most_waiting:
            raise self._too_many()
        if self._waiting >= self._most_waiting_of_all and not self._make_room(calls):
            self._forget(user, calls)
            raise self._full()
        loop = asyncio.get_running_loop()
        began, turn = loop.time(), loop.create_future()
        calls.waiting.append(turn)
        self._stand_in_line(calls)
        self._waiting += 1
        self._waited += 1
        try:
            async with asyncio.timeout(self._seconds):
                runs = await turn
        except BaseException as error:
            refusal = self._too_many() if calls.running >= self._share else self._full()
            if turn.done() and not turn.cancelled() and turn.result():  # the turn came at the same moment
                self.leave(user)
            else:
                with suppress(ValueError):
                    calls.waiting.remove(turn)
                    self._waiting -= 1
                self._forget(user, calls)
            if isinstance(error, TimeoutError):
                raise refusal from None
            raise
        finally:
            self._waited_seconds += loop.time() - began
        if not runs:
            self._forget(user, calls)
            raise self._too_many()

    def _make_room(self, calls: _Calls) -> bool:
        """Refuse the newest waiting call of the user with the most, unless that user has no more than `calls`."""
        most = max(self._users.values(), key=lambda others: len(others.waiting))
        if len(most.waiting) <= len(calls.waiting) + 1:
            return False
        turn = most.waiting.pop()
        self._waiting -= 1
        if not turn.done():
            turn.set_result(False)
        return True

    def _forget(self, user: str, calls: _Calls) -> None:
        # the user may have come back meanwhile
        if not calls.running and not calls.waiting and self._users.get(user) is calls:
            del self._users[user]

    def _too_many(self) -> RateLimited:
        return RateLimited(
            f"Of one user's {self._what}, {self._share} run at once and {self._most_waiting} wait for up to "
            f"{self._seconds:g} s; send the request again.",
            retry_after=RETRY_SECONDS,
        )

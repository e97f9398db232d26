"""What the API's tests share beside the session's fixtures: the mock of the real providers' wire."""

from __future__ import annotations

from tests.support.aimock import aimock, aimock_server

__all__ = ["aimock", "aimock_server"]

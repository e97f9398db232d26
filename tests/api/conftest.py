"""Fixtures of the API tests: the mock of the real providers' wire."""

from __future__ import annotations

from tests.support.aimock import aimock, aimock_server

__all__ = ["aimock", "aimock_server"]

"""Fixtures of the routing tests."""

from tests.support.aimock import aimock, aimock_server

__all__ = ["aimock", "aimock_server"]

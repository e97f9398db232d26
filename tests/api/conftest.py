"""What the API's tests share beside the session's fixtures: the mock of the real providers' wire, and the limits that
are put back."""

from __future__ import annotations

from tests.support.aimock import aimock, aimock_server
from tests.support.limits import kept_settings, owned

__all__ = ["aimock", "aimock_server", "kept_settings", "owned"]

"""The fixtures of other folders that the tests of a release use."""

from __future__ import annotations

from tests.support.limits import kept_settings, owned

__all__ = ["kept_settings", "owned"]

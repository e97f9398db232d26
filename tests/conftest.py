"""In charge of what all tests share: one throw-away Supabase, with the repository's migrations applied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.local_supabase import LocalSupabase


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalSupabase]:
    """A running Supabase on free ports, its data gone after the session."""
    with LocalSupabase.throwaway() as running:
        yield running

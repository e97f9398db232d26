"""What clients send and see of personal keys. Docstrings and descriptions stand in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from app.api.paging import Page
from app.api.views import Id, Time, View, described
from app.personal_keys import PREFIX


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A personal key to create."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="What the key is for, for its owner.")]
    expires_at: Annotated[
        Annotated[datetime, msgspec.Meta(tz=True)] | None,
        described("When the key ends, at most 366 days ahead; null or left out: when it is revoked."),
    ] = None


class KeyView(View, frozen=True, kw_only=True):
    """A personal key, without the key itself."""

    id: Id
    name: str
    hint: Annotated[str, described(f"How the key begins: `{PREFIX}` and four characters.")]
    scope: Annotated[Literal["completions"], described("What it opens: `completions` is `/openai/v1`.")]
    created_at: Time
    expires_at: Time | None
    last_used_at: Annotated[Time | None, described("Exact to the minute; null: it was never used.")]


class NewKeyView(KeyView, frozen=True, kw_only=True):
    """A personal key that was just created."""

    key: Annotated[str, described("The key: `parley_` and 49 letters and digits. It cannot be read again.")]


class KeyPage(Page[KeyView], frozen=True):
    """All keys of the caller, the newest first; `next_cursor` is null."""

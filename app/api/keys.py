"""`/v1/keys`: personal keys of the caller, for clients that hold one string."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.params import FromPath, JSONBody

from app.api.auth import Caller
from app.api.key_owners import KeyOwners
from app.api.key_views import KeyPage, KeyView, NewKey, NewKeyView
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.api.views import require_words
from app.errors import InvalidRequest
from app.personal_keys import make_key
from app.store.keys import Keys


def key_routes(keys: Keys, owners: KeyOwners) -> Router:
    @post(
        "/",
        operation_id="createKey",
        response_description="The new key. This is the only answer that has it.",
        responses=problems("limit_reached", body=True),
    )
    async def create(user: Caller, data: JSONBody[NewKey]) -> Response[NewKeyView]:
        """Create a personal key, for a client that holds one string and cannot refresh a token.

        It opens `/openai/v1` and nothing else, under my plan and my limits. The key is in this answer and nowhere
        else: only a hash of it is stored.
        """
        require_words("name", data.name)
        made = make_key()
        stored = await keys.create(user.token, made, data.name, _in_utc(data.expires_at))
        shown = NewKeyView(**msgspec.structs.asdict(stored), key=made.text)
        return Response(shown, headers={"Cache-Control": "no-store"})

    @get("/", operation_id="listKeys", response_description="All of them.", responses=problems())
    async def all_of_them(user: Caller) -> KeyPage:
        """List my personal keys, the newest first.

        There are at most 20, so the page is the only one.
        """
        return KeyPage([KeyView.of(key) for key in await keys.all(user.token)], None)

    @delete(
        "/{key_id:uuid}",
        operation_id="revokeKey",
        response_description="It is revoked.",
        responses=problems("not_found"),
    )
    async def revoke(user: Caller, key_id: FromPath[UUID]) -> None:
        """Revoke a personal key, for good.

        Requests that carry it are refused after at most 10 seconds. A reply that has begun is not ended.
        """
        await keys.revoke(user.token, str(key_id))
        owners.forget(str(key_id))

    return Router("/v1/keys", route_handlers=[create, all_of_them, revoke], tags=["keys"], security=USER_TOKEN)


def _in_utc(expires_at: datetime | None) -> datetime | None:
    """The same time in a zone that the database knows: it takes none beyond 16 hours, and ISO 8601 has up to 24."""
    try:
        return None if expires_at is None else expires_at.astimezone(UTC)
    except OverflowError:  # beyond the years 1 to 9999
        raise InvalidRequest(
            "expires_at: expected a time within the next 366 days; leave it out for a key without an end."
        ) from None

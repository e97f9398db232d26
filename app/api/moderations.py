"""`POST /v1/moderations`: check a text as messages are checked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, Router, post
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, problems
from app.api.quotas import quota_headers
from app.api.views import MAX_CONTENT_CHARACTERS
from app.errors import PayloadTooLarge
from app.guard.admission import Admission
from app.guard.moderation import Moderation


class TextToCheck(msgspec.Struct, forbid_unknown_fields=True):
    content: Annotated[str, msgspec.Meta(min_length=1)]


class VerdictView(msgspec.Struct, frozen=True):
    """`categories` names what the text was flagged for; empty when it is allowed."""

    allowed: bool
    categories: tuple[str, ...]


def moderation_routes(admission: Admission, moderation: Moderation) -> Router:
    @post("/moderations", operation_id="moderate", status_code=200, responses=problems(413, 422, 429))
    async def moderate(user: Caller, data: JSONBody[TextToCheck]) -> Response[VerdictView]:
        """Whether moderation lets a text pass. A moderator that cannot be reached is 503, whatever the policy."""
        if len(data.content) > MAX_CONTENT_CHARACTERS:
            raise PayloadTooLarge(f"A text has at most {MAX_CONTENT_CHARACTERS} characters.")
        quotas = await admission.check(user, "moderation")
        verdict = await moderation.judge(data.content)
        categories = verdict.categories if verdict.flagged else ()
        return Response(VerdictView(not verdict.flagged, categories), headers=quota_headers(quotas))

    return Router("/v1", route_handlers=[moderate], tags=["moderation"], security=USER_TOKEN)

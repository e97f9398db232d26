"""`POST /v1/moderations`: check a text as messages are checked."""

from __future__ import annotations

from litestar import Response, Router, post
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, answers_with
from app.api.quotas import EXPOSED, quota_headers
from app.api.refusals import problems
from app.api.views import TextToCheck, VerdictView, require_short, require_words
from app.guard.admission import Admission
from app.guard.moderation import Moderation
from app.store.charges import Charges


def moderation_routes(admission: Admission, moderation: Moderation, charges: Charges) -> Router:
    @post(
        "/moderations",
        operation_id="moderate",
        status_code=200,
        response_description="The verdict.",
        response_headers=answers_with(*EXPOSED),
        responses=problems("provider_unavailable", "moderation_off", body=True),
    )
    async def moderate(user: Caller, data: JSONBody[TextToCheck]) -> Response[VerdictView]:
        """Check whether moderation lets a text pass.

        The answer is 503 when the moderator cannot be reached, even if the server lets messages pass then.
        """
        require_short(data.content)
        require_words("content", data.content)
        quotas = await admission.check(user, "moderation")
        verdict = await moderation.judge(data.content)
        await charges.charge(user.id, [moderation.charge(data.content)])
        categories = verdict.categories if verdict.flagged else ()
        return Response(VerdictView(not verdict.flagged, categories), headers=quota_headers(quotas))

    return Router("/v1", route_handlers=[moderate], tags=["moderation"], security=USER_TOKEN)

"""`POST /v1/estimate`: what a message would cost, before it is sent."""

from __future__ import annotations

from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.estimate_views import EstimateView, MessageToEstimate
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.api.views import require_short, require_words
from app.chat.choice import Choice


def estimate_routes(choice: Choice) -> Router:
    @post(
        "/estimate",
        operation_id="estimateMessage",
        status_code=200,
        response_description="The estimate.",
        responses=problems("premium_required", "not_found", body=True),
    )
    async def estimate(user: Caller, data: JSONBody[MessageToEstimate]) -> EstimateView:
        """Tell what a message would cost at most with each model, and what is left of the limits.

        The estimate is an upper bound for every tokenizer and for the longest reply that is let through, in whatever
        minute the message is sent. With `max_tokens` it is close; without, most replies cost far less. Nothing is sent,
        charged or held.
        """
        require_short(data.content)
        require_words("content", data.content)
        parent = data.parent_id
        found = await choice.estimate(
            user,
            data.content,
            conversation_id=str(data.conversation_id) if data.conversation_id is not None else None,
            parent_id=str(parent) if isinstance(parent, UUID) else parent,
            max_tokens=data.max_tokens,
            use_rag=data.use_rag,
        )
        return EstimateView.of(found)

    return Router("/v1", route_handlers=[estimate], tags=["usage"], security=USER_TOKEN)

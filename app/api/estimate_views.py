"""What clients send and see of estimates. Docstrings and descriptions stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from app.api.views import ParentId, View, described
from app.store.estimates import Left


class MessageToEstimate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message that is not sent."""

    content: Annotated[str, msgspec.Meta(min_length=1, description="The text; at most 100,000 characters.")]
    conversation_id: Annotated[UUID | None, described("Where it would be sent; left out, in a new conversation.")] = (
        None
    )
    parent_id: ParentId = msgspec.UNSET
    max_tokens: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None, described("The largest number of tokens of the reply.")
    ] = None
    use_rag: Annotated[bool | None, described("Whether to search the user's documents for it.")] = None


class ModelEstimateView(View, frozen=True):
    """What the message costs at most with one model."""

    provider: str
    model: str
    max_tokens: Annotated[int, described("The most tokens that the reply may have.")]
    cost_micro_usd: Annotated[
        int | None,
        described(
            "What it costs at most, in millionths of a dollar, when this model answers at its first call; null where "
            "no price is known."
        ),
    ]


class EstimateView(View, frozen=True):
    """What a message would take. Nothing is sent, charged or held."""

    prompt_tokens: Annotated[
        int, described("What would be held of the minute for the message, its history and passages if it was sent now.")
    ]
    output_tokens: Annotated[
        int | None, described("What would be held for the reply; null where nothing has to limit it.")
    ]
    most_micro_usd: Annotated[
        int | None,
        described(
            "What it costs at most whatever happens: calls that fail are made again, also of other models, five at "
            "most, and a conversation without a title is given one. Null where a model has no known price."
        ),
    ]
    models: Annotated[
        tuple[ModelEstimateView, ...], described("The models that may be chosen now, in the order of `GET /v1/models`.")
    ]
    left: Annotated[Left, described("What is left of the limits before it is sent.")]

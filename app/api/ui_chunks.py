"""The chunks of the AI SDK's UI message stream that replies are written in, and messages in its form.

`ai` 5 and 6 know neither `reset-step` nor the finish reason `interrupted`, and end a stream with an error for a chunk
that they do not know; releases before 5.0.217, 6.0.231 and 7.0.32 do so for a field, too. So there is no other field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from app.api.views import FinishReasonText, Id, Time, described
from app.values import Problem, ReplyStatus, ReplyUsage, Role

TEXT, REASONING = "text", "reasoning"
"""The ids of the two parts in a stream."""


class UIMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What there is to know of a message beside its parts; what is not known, or of no meaning for it, is left out."""

    conversation_id: Id | msgspec.UnsetType = msgspec.UNSET
    user_message_id: Annotated[
        Id | msgspec.UnsetType, described("The user message that this reply answers, in `/v1/messages`.")
    ] = msgspec.UNSET
    provider: str | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    status: ReplyStatus | msgspec.UnsetType = msgspec.UNSET
    finish_reason: FinishReasonText | msgspec.UnsetType = msgspec.UNSET
    usage: ReplyUsage | msgspec.UnsetType = msgspec.UNSET
    cost_micro_usd: Annotated[
        int | msgspec.UnsetType, described("What all calls for the reply have cost, in millionths of a dollar.")
    ] = msgspec.UNSET
    reasoning_ms: Annotated[
        int | msgspec.UnsetType,
        described("How long the model has thought, in milliseconds, once the reply is over."),
    ] = msgspec.UNSET
    problem: Annotated[Problem | msgspec.UnsetType, described("Why a reply failed.")] = msgspec.UNSET
    length: Annotated[
        int | msgspec.UnsetType, described("The length of the stored text, in code points, once the reply is over.")
    ] = msgspec.UNSET
    resume: Annotated[
        bool | msgspec.UnsetType,
        described("The reply goes on, and this stream does not: call `resumeStream()`."),
    ] = msgspec.UNSET
    restart: Annotated[
        str | msgspec.UnsetType, described("Why another model answers than the one that was asked first.")
    ] = msgspec.UNSET
    sources_error: Annotated[
        str | msgspec.UnsetType, described("A problem code: some documents could not be searched.")
    ] = msgspec.UNSET
    created_at: Time | msgspec.UnsetType = msgspec.UNSET


class SourceDetails(msgspec.Struct, frozen=True):
    """What the AI SDK has no field for."""

    document_id: Id
    similarity: float
    excerpt: str


class SourceMetadata(msgspec.Struct, frozen=True):
    """`providerMetadata` of a source."""

    parley: SourceDetails


class StartChunk(msgspec.Struct, frozen=True, tag_field="type", tag="start", rename="camel"):
    """Both messages are stored. The first chunk, also of a stream that is resumed."""

    message_id: Annotated[Id, described("The reply's id, in `/v1/messages` too.")]
    message_metadata: UIMetadata


class SourceChunk(msgspec.Struct, frozen=True, tag_field="type", tag="source-document", rename="camel"):
    """A passage of the user's documents that the reply may cite, by its place among them, from 1."""

    source_id: Id
    media_type: Literal["text/plain"]
    title: str
    provider_metadata: SourceMetadata


class ReasoningStartChunk(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning-start"):
    """The model shows that it thinks."""

    id: str = REASONING


class ReasoningDeltaChunk(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning-delta"):
    """The next piece of its reasoning."""

    delta: str
    id: str = REASONING


class ReasoningEndChunk(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning-end"):
    """Text comes, or the end."""

    id: str = REASONING


class TextStartChunk(msgspec.Struct, frozen=True, tag_field="type", tag="text-start"):
    """The text begins."""

    id: str = TEXT


class TextDeltaChunk(msgspec.Struct, frozen=True, tag_field="type", tag="text-delta"):
    """The next piece of the text."""

    delta: str
    id: str = TEXT


class TextEndChunk(msgspec.Struct, frozen=True, tag_field="type", tag="text-end"):
    """The text is over."""

    id: str = TEXT


class MetadataChunk(msgspec.Struct, frozen=True, tag_field="type", tag="message-metadata", rename="camel"):
    """What is known by now, merged into what was known before."""

    message_metadata: UIMetadata


class ResetStepChunk(msgspec.Struct, frozen=True, tag_field="type", tag="reset-step"):
    """All parts so far are void; only for clients that say that they know it."""


class TitleData(msgspec.Struct, frozen=True):
    """The title of the conversation."""

    title: str


class TitleChunk(msgspec.Struct, frozen=True, tag_field="type", tag="data-title", omit_defaults=True):
    """The conversation has this title. `transient`: it had it before the turn."""

    data: TitleData
    id: str | msgspec.UnsetType = msgspec.UNSET
    transient: bool | msgspec.UnsetType = msgspec.UNSET


class ErrorChunk(msgspec.Struct, frozen=True, tag_field="type", tag="error", rename="camel"):
    """The reply failed, or cannot be read here any longer. The problem is in the metadata, which was sent before."""

    error_text: str


class FinishChunk(msgspec.Struct, frozen=True, tag_field="type", tag="finish", rename="camel"):
    """The reply is whole, or was stopped: `status` in the metadata says which."""

    finish_reason: Literal["stop", "length", "content-filter", "other"]


UIMessageChunk = (
    StartChunk
    | SourceChunk
    | ReasoningStartChunk
    | ReasoningDeltaChunk
    | ReasoningEndChunk
    | TextStartChunk
    | TextDeltaChunk
    | TextEndChunk
    | MetadataChunk
    | ResetStepChunk
    | TitleChunk
    | ErrorChunk
    | FinishChunk
)


class TextPart(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """The text."""

    text: str
    state: Literal["streaming", "done"]


class ReasoningPart(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning"):
    """The model's reasoning."""

    text: str
    state: Literal["streaming", "done"]


class SourcePart(msgspec.Struct, frozen=True, tag_field="type", tag="source-document", rename="camel"):
    """A passage of the user's documents that the reply may cite, by its place among them, from 1."""

    source_id: Id
    media_type: Literal["text/plain"]
    title: str
    provider_metadata: SourceMetadata


class UIMessage(msgspec.Struct, frozen=True):
    """A message as `useChat` has it. A reply's parts stand as a stream of it brings them: sources, reasoning, text."""

    id: Id
    role: Role
    parts: tuple[SourcePart | ReasoningPart | TextPart, ...]
    metadata: UIMetadata


DESCRIPTION = """A chunk of the AI SDK's UI message stream: `start`, then sources, reasoning and text where there are
any, then `message-metadata` with how the reply ended, and `finish` or `error`."""

_EXAMPLE: tuple[UIMessageChunk, ...] = (
    StartChunk(
        "0198c6f1-9a03-7c1f-b0d4-2f6e9c7b1a55",
        UIMetadata(
            conversation_id="0198c6f1-8f43-7b4e-9c55-8b6f2f1c6c11",
            user_message_id="0198c6f1-9a02-7d2a-8a3e-53b1d0f2a7e4",
            provider="openai",
            model="gpt-5-mini",
            status="streaming",
        ),
    ),
    TextStartChunk(),
    TextDeltaChunk("Hello"),
    TextEndChunk(),
    MetadataChunk(
        UIMetadata(
            status="complete",
            finish_reason="stop",
            usage=ReplyUsage(12, 1, cost_micro_usd=5),
            cost_micro_usd=5,
            length=5,
        )
    ),
    FinishChunk("stop"),
)
ON_THE_WIRE = "".join(f"data: {msgspec.json.encode(chunk).decode()}\n\n" for chunk in _EXAMPLE) + "data: [DONE]\n\n"


def until_done(description: str, chunk: dict[str, Any]) -> dict[str, Any]:
    """The schema of the events of a stream that ends with `[DONE]`, before their reader has parsed their data."""
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": chunk}
    return {
        "type": "object",
        "description": f"{description} An event has `data` and nothing else, which is `[DONE]` in the last one.",
        "properties": {"data": {"anyOf": [{"const": "[DONE]"}, text]}},
        "required": ["data"],
    }


def schemas(union: dict[str, Any]) -> dict[str, Any]:
    """The schemas of a stream in the OpenAPI document, from msgspec's of any chunk."""
    return {
        "UIMessageChunk": {
            "description": DESCRIPTION,
            "oneOf": union["anyOf"],
            "discriminator": union["discriminator"],
        },
        "UIChunkOnTheWire": until_done("A chunk as it is sent.", {"$ref": "#/components/schemas/UIMessageChunk"}),
    }

"""What the surface of OpenAI's API answers. Docstrings and descriptions stand in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from app.api.views import described
from app.values import FinishReason, ToolCallDelta, Usage


class CallView(msgspec.Struct, frozen=True):
    """The function that is called, with its arguments as JSON text."""

    name: str
    arguments: str


class ToolCallView(msgspec.Struct, frozen=True):
    """A call of one of the request's tools, which its sender runs."""

    id: str
    function: CallView
    type: Literal["function"] = "function"


class CompletionMessageView(msgspec.Struct, frozen=True):
    """The reply."""

    content: str | None
    reasoning: Annotated[
        str | msgspec.UnsetType, described("What the model showed of its thinking; also as `reasoning_content`.")
    ] = msgspec.UNSET
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ToolCallView] | msgspec.UnsetType = msgspec.UNSET
    refusal: None = None
    role: Literal["assistant"] = "assistant"


class ChoiceView(msgspec.Struct, frozen=True):
    """The reply and how it ended."""

    message: CompletionMessageView
    finish_reason: FinishReason
    logprobs: None = None
    index: int = 0


class PromptDetails(msgspec.Struct, frozen=True):
    """Parts of the prompt's tokens."""

    cached_tokens: int


class CompletionDetails(msgspec.Struct, frozen=True):
    """Parts of the completion's tokens."""

    reasoning_tokens: int


class CompletionUsage(msgspec.Struct, frozen=True):
    """The tokens of the call that answered."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails

    @classmethod
    def of(cls, usage: Usage | None) -> CompletionUsage:
        """None: no call is charged for."""
        usage = usage or Usage(0, 0)
        return cls(
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.prompt_tokens + usage.completion_tokens,
            PromptDetails(usage.cached_tokens),
            CompletionDetails(usage.reasoning_tokens),
        )


class ChatCompletion(msgspec.Struct, frozen=True):
    """A chat completion."""

    id: str
    created: Annotated[int, described("Seconds since 1970.")]
    model: Annotated[str, described("The model that has answered.")]
    choices: Annotated[list[ChoiceView], msgspec.Meta(min_length=1, max_length=1)]
    usage: CompletionUsage
    object: Literal["chat.completion"] = "chat.completion"


class CalledPart(msgspec.Struct, frozen=True):
    """A part of a called function: its name comes once, its arguments in parts."""

    arguments: str
    name: str | msgspec.UnsetType = msgspec.UNSET


class ToolCallPart(msgspec.Struct, frozen=True):
    """A part of a tool call. The first one of an `index` has its id."""

    index: int
    function: CalledPart
    id: str | msgspec.UnsetType = msgspec.UNSET
    type: Literal["function"] | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, delta: ToolCallDelta) -> ToolCallPart:
        if delta.id is None or delta.name is None:
            return cls(delta.index, CalledPart(delta.arguments))
        return cls(delta.index, CalledPart(delta.arguments, delta.name), delta.id, "function")


class DeltaView(msgspec.Struct, frozen=True):
    """What has come of the reply."""

    role: Literal["assistant"] | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ToolCallPart] | msgspec.UnsetType = msgspec.UNSET


class ChunkChoice(msgspec.Struct, frozen=True):
    """A part of the reply. `finish_reason` is null until the end."""

    delta: DeltaView
    finish_reason: FinishReason | None
    index: int = 0


class ChatCompletionChunk(msgspec.Struct, frozen=True):
    """An event of a streamed completion. After an `ErrorBody` in its place nothing follows but `[DONE]`."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | msgspec.UnsetType | None = msgspec.UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class ListedModel(msgspec.Struct, frozen=True):
    """A model that may be named."""

    id: str
    created: Annotated[int, described("When this server started, in seconds since 1970.")]
    owned_by: Annotated[str, described("Its provider.")]
    object: Literal["model"] = "model"


class ListedModels(msgspec.Struct, frozen=True):
    """The models that may be named."""

    data: list[ListedModel]
    object: Literal["list"] = "list"


class EmbeddingView(msgspec.Struct, frozen=True):
    """The vector of one text."""

    index: int
    embedding: Annotated[list[float] | str, described("Numbers; in base64, little-endian floats of 32 bits.")]
    object: Literal["embedding"] = "embedding"


class EmbeddingUsage(msgspec.Struct, frozen=True):
    """The tokens of all texts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True):
    """The vectors of the texts, in their order."""

    data: list[EmbeddingView]
    model: str
    usage: EmbeddingUsage
    object: Literal["list"] = "list"


def tool_calls_of(parts: Sequence[ToolCallDelta]) -> list[ToolCallView]:
    """The whole calls that the parts make."""
    whole: dict[int, tuple[str, str, list[str]]] = {}
    for part in parts:
        known = whole.setdefault(part.index, (part.id or "", part.name or "", []))
        known[2].append(part.arguments)
    return [ToolCallView(id, CallView(name, "".join(said))) for _, (id, name, said) in sorted(whole.items())]

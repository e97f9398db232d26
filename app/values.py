"""Values that all stages share: what a turn asks for, what a provider streams, how a reply ends. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, NewType

import msgspec

Role = Literal["user", "assistant", "system"]
PromptRole = Literal[Role, "tool"]
"""Whose an entry of a prompt is. `tool`: the result of a tool call. Stored messages have no tools."""
ProviderName = NewType("ProviderName", str)  # the valid names are in `app.providers.registry`
TaskType = Literal["code", "creative", "analysis", "general"]
AUTO = "auto"
"""What clients of OpenAI's API name for the model that this server chooses."""
ReplyStatus = Literal["streaming", "complete", "stopped", "failed", "interrupted", "filtered"]

# Why a provider ended its reply: it was complete, it reached the output limit, a filter or refusal cut it, or the model
# waits for the results of its tool calls. The last comes only when the request has tools.
ReplyFinishReason = Literal["stop", "length", "content_filter"]
FinishReason = Literal[ReplyFinishReason, "tool_calls"]

# How much a model should think before it answers; each provider has its own parameter for this.
ReasoningEffort = Literal["off", "low", "medium", "high"]


class User(msgspec.Struct, frozen=True):
    """A signed-in user. Row level security uses `token`, which is valid until `expires_at` (seconds since 1970).

    The owner of a personal key has an empty token: with it no row of theirs can be read.
    """

    id: str
    token: str
    expires_at: float


class Send(msgspec.Struct, frozen=True):
    """A request for a turn: answer this new message in the conversation. It follows the message `parent_id`; unset, the
    head, and None, no message."""

    conversation_id: str
    content: str
    parent_id: str | msgspec.UnsetType | None = msgspec.UNSET


class Regenerate(msgspec.Struct, frozen=True):
    """A request for a turn: answer a user message again. `message_id` is that message or a reply to it."""

    message_id: str


class IdempotencyKey(msgspec.Struct, frozen=True):
    """A repeated request with this key attaches to the reply of the first one. `request_hash` must be the same."""

    key: str
    request_hash: str


class ToolCall(msgspec.Struct, frozen=True):
    """A call that a model makes of one of the request's tools. `id` is unique within the conversation."""

    id: str
    name: str
    arguments: str
    """JSON text: an object by the tool's parameters. Models may write text that is not valid JSON."""


class Message(msgspec.Struct, frozen=True):
    """One entry of a prompt. `tool_calls` are of the assistant only; a message of the role `tool` is the result of the
    call `tool_call_id`. The content of a message with calls may be empty. `reasoning` is the assistant's before its
    calls, if the client sends it back: some servers demand it."""

    role: PromptRole
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str = ""


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call. The client runs it and sends the result with the next request."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """A JSON schema of the arguments, which are an object; None: the tool takes none."""
    strict: bool | None = None
    """Whether the arguments must match the schema exactly; None: the provider decides."""


class NamedTool(msgspec.Struct, frozen=True):
    """The model must call the tool of this name."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool
"""Whether the model may, must not, or must call a tool, or which one it must call."""


class JsonSchema(msgspec.Struct, frozen=True):
    """The reply must be JSON by this schema."""

    name: str
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None
    """Whether the reply must match the schema exactly; None: the provider decides."""


ResponseFormat = Literal["text", "json_object"] | JsonSchema
"""What the text of the reply is: anything, any JSON object, or JSON by a schema."""


class Sampling(msgspec.Struct, frozen=True):
    """How the tokens of a reply are chosen, and texts at which it ends. None: the provider's own value."""

    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


BYTES_PER_TOKEN = 4
"""An estimate for English text with current tokenizers, used when no provider has counted."""
MESSAGE_TOKENS = 5
"""The tokens that a chat template adds to a message for its role, its beginning and its end. ChatML adds five."""


def tokens_of(size: int) -> int:
    """The tokens of so many bytes of text, estimated."""
    return -(-size // BYTES_PER_TOKEN)


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` has. Counts bytes, since scripts other than Latin take more tokens per character."""
    return tokens_of(len(text.encode()))


def estimate_prompt(messages: Iterable[Message]) -> int:
    """About how many tokens a model reads for `messages`."""
    return sum(_estimate_message(message) for message in messages)


def _estimate_message(message: Message) -> int:
    tokens = estimate_tokens(message.content) + MESSAGE_TOKENS
    for call in message.tool_calls:
        tokens += estimate_tokens(call.name) + estimate_tokens(call.arguments) + MESSAGE_TOKENS
    return tokens


class Tally:
    """What a provider has said by now of the tokens of one call."""

    __slots__ = ("_read",)

    def __init__(self) -> None:
        self._read: Callable[[], Usage | None] | None = None

    def take(self, read: Callable[[], Usage | None]) -> None:
        """The provider has taken the request; `read` tells what it has counted so far, None before it says anything."""
        self._read = read

    @property
    def taken(self) -> bool:
        """Whether the provider has begun to answer with something else than an error."""
        return self._read is not None

    @property
    def usage(self) -> Usage | None:
        """What it has counted so far."""
        return None if self._read is None else self._read()


Take = Callable[["StreamItem"], bool]
"""Takes an item of a provider's stream at once; False: it is not taken, and comes the usual way."""


class ChatRequest(msgspec.Struct, frozen=True):
    """A request to one provider. System text is in messages of role `system`, which come first."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    reasoning: ReasoningEffort | None = None
    """None: the model decides."""
    context_tokens: int | None = None
    """The context that the messages and the reply were shortened to fit; None: not known."""
    tally: Tally | None = None
    """Receives the provider's counts, so that a call that is cut off can be charged."""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    """None: the provider's own, which is `auto`. Only with tools."""
    parallel_tool_calls: bool | None = None
    """Whether a reply may have several calls; None: the provider's own value. Only with tools."""
    response_format: ResponseFormat | None = None
    sampling: Sampling = Sampling()
    take: Take | None = None
    """Is offered each item in the call that receives it, see `Provider.stream`; None: nothing is."""


def estimate_request(request: ChatRequest) -> int:
    """About how many tokens a model reads for the messages of `request`, its tools and the schema of its reply."""
    tokens = estimate_prompt(request.messages)
    for described in (*request.tools, request.response_format):
        if isinstance(described, Tool | JsonSchema):
            tokens += tokens_of(len(msgspec.json.encode(described))) + MESSAGE_TOKENS
    return tokens


class Usage(msgspec.Struct, frozen=True):
    """Token counts as the provider reported them. `cached_tokens` is the part of the prompt read from its cache,
    `reasoning_tokens` the part of the completion that the model used for thinking. When a provider reports no count for
    the prompt or the completion, the stored reply has an estimate; until then the count is 0."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class ReplyUsage(Usage, frozen=True):
    """What a reply took. `cost_micro_usd` is what all calls for it have cost, in millionths of a dollar, as the ledger
    has it; null where no price is known."""

    cost_micro_usd: int | None = None


class Quota(msgspec.Struct, frozen=True):
    """A limit per minute: its size, how much of it is left, and the whole seconds until more is available."""

    limit: int
    remaining: int
    reset: int


class Feedback(msgspec.Struct, frozen=True):
    """What its owner says of a reply."""

    rating: Literal["up", "down"]
    comment: str | None


class Opened(msgspec.Struct, frozen=True):
    """The provider has accepted the request: the headers of its answer have come, but nothing of the reply yet."""


class Delta(msgspec.Struct, frozen=True):
    """New text of a reply: all tokens that arrived in one read, never empty."""

    text: str


class Reasoning(msgspec.Struct, frozen=True):
    """Reasoning that the model shows: all that arrived in one read, never empty. It is not part of the text."""

    text: str


class ToolCallDelta(msgspec.Struct, frozen=True):
    """A part of a tool call. The first one of an `index` has the id and the name and may have arguments; those after it
    have neither. The calls of a reply are numbered from 0 without a gap, and parts of several may alternate. The
    arguments of all parts of one index together are the JSON text."""

    index: int
    id: str | None
    name: str | None
    arguments: str


class Alive(msgspec.Struct, frozen=True):
    """A read without text or reasoning, such as a ping or an empty delta, which shows that the provider works."""


class Finish(msgspec.Struct, frozen=True):
    """The regular end of a provider's stream. `usage` is None when the provider did not report it."""

    reason: FinishReason
    usage: Usage | None


StreamItem = Opened | Alive | Reasoning | Delta | ToolCallDelta | Finish
"""The items of a provider's stream."""


class Passage(msgspec.Struct, frozen=True):
    """A chunk of a document that is similar to a query. Similarity is the cosine, -1 to 1."""

    id: str
    document_id: str
    title: str
    content: str
    similarity: float


class Started(msgspec.Struct, frozen=True):
    """The user message and the reply row are stored. This provider answers, unless a `Restart` follows."""

    conversation_id: str
    user_message_id: str
    message_id: str
    provider: str | None
    model: str | None


class Restart(msgspec.Struct, frozen=True):
    """Another candidate answers; discard the text so far."""

    reason: str
    provider: str
    model: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error as clients see it, after RFC 9457. `code` is stable. Holds no secret and no text of a message, so it may
    be stored with a reply."""

    type: str
    title: str
    status: int
    code: str
    detail: str | msgspec.UnsetType = msgspec.UNSET
    categories: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """The categories for which moderation flagged a text."""
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    """The id of the request that was answered with this problem, or that has begun the reply which failed with it."""


class FinalState(msgspec.Struct, frozen=True, kw_only=True):
    """How a reply ended, as it is stored. The last event for its readers is made from this alone
    (`chat.endings.ending_of`).

    `problem` is None when the reply ended well or was stopped. `length` is that of the stored text, in code points.
    `reasoning_ms` is from the first of the reasoning to the first of the text, or to the end; None without reasoning.
    """

    status: ReplyStatus
    finish_reason: str | None = None
    problem: Problem | None = None
    usage: ReplyUsage | None = None
    provider: str | None = None
    model: str | None = None
    length: int
    reasoning_ms: int | None = None


class Done(msgspec.Struct, frozen=True):
    """The regular end. `length` is that of the stored text, in code points."""

    status: ReplyStatus
    finish_reason: str | None
    usage: ReplyUsage | None
    provider: str | None
    model: str | None
    length: int
    reasoning_ms: int | None = None


class Stopped(msgspec.Struct, frozen=True):
    """The user stopped the reply; the text so far is kept."""

    usage: ReplyUsage | None
    length: int
    reasoning_ms: int | None = None


class Failed(msgspec.Struct, frozen=True):
    """The reply failed or was interrupted; the stored text is kept. `length` is that of the stored text, in code
    points: a reader that has more cuts its text to it."""

    problem: Problem
    status: ReplyStatus
    length: int
    reasoning_ms: int | None = None


class Source(msgspec.Struct, frozen=True):
    """A passage that the model was given for the reply. The text cites it by its place in the list, from 1."""

    id: str
    document_id: str
    title: str
    similarity: float
    excerpt: str


class Sources(msgspec.Struct, frozen=True):
    """The passages found in the user's documents. `error` is a problem code: the search failed, or some documents could
    not be searched, and the reply is written without what is missing."""

    items: tuple[Source, ...]
    error: str | None = None


Preamble = Started | Sources | Restart
Ending = Done | Stopped | Failed

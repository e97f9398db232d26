"""The values every stage speaks: what a turn is asked, what a provider streams, how a reply ends. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NewType

import msgspec

Role = Literal["user", "assistant", "system"]
ProviderName = NewType("ProviderName", str)  # those that there are: `app.providers.registry`
TaskType = Literal["code", "creative", "analysis", "general"]
ReplyStatus = Literal["streaming", "complete", "stopped", "failed", "interrupted", "filtered"]

# Why a provider ended its reply: it was done, it reached the output limit, or a filter or refusal cut it.
FinishReason = Literal["stop", "length", "content_filter"]

# How much a model is to think before it answers; each provider has a parameter of its own for it.
ReasoningEffort = Literal["off", "low", "medium", "high"]


class User(msgspec.Struct, frozen=True):
    """A signed-in user. Row level security judges `token`, which is valid until `expires_at` (seconds since 1970)."""

    id: str
    token: str
    expires_at: float


class Send(msgspec.Struct, frozen=True):
    """A turn that is asked for: answer this new message of the conversation."""

    conversation_id: str
    content: str


class Regenerate(msgspec.Struct, frozen=True):
    """A turn that is asked for: answer again the user message that `message_id` is, or that it answers."""

    message_id: str


class IdempotencyKey(msgspec.Struct, frozen=True):
    """A repeated request with this key attaches to the first one's reply. `request_hash` tells others apart."""

    key: str
    request_hash: str


class Message(msgspec.Struct, frozen=True):
    """One entry of a prompt."""

    role: Role
    content: str


BYTES_PER_TOKEN = 4
"""English text in today's tokenizers; an estimate, used where no provider has counted."""
MESSAGE_TOKENS = 5
"""What a chat template adds to a message: its role, its beginning and its end. ChatML takes five."""


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is. Bytes, not characters: scripts other than Latin take more tokens a character."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def estimate_prompt(messages: Iterable[Message]) -> int:
    """About how many tokens a model reads when it is sent `messages`."""
    return sum(estimate_tokens(message.content) + MESSAGE_TOKENS for message in messages)


class ChatRequest(msgspec.Struct, frozen=True):
    """What one provider is asked. System text stands in messages of role `system`, first in the list."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    reasoning: ReasoningEffort | None = None
    """None: as the model does by itself."""
    context_tokens: int | None = None
    """The context that the messages and the reply were made to fit; None: not known."""


class Usage(msgspec.Struct, frozen=True):
    """Token counts as the provider reported them. `cached_tokens` is the part of the prompt read from its cache,
    `reasoning_tokens` the part of the completion that the model thought with. A provider that leaves one of the first
    two out is written down with 0 there, until `chat` estimates it."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Quota(msgspec.Struct, frozen=True):
    """A limit a minute: how much there is, how much of it is left, and in how many whole seconds there is more."""

    limit: int
    remaining: int
    reset: int


class Opened(msgspec.Struct, frozen=True):
    """The provider has taken the request: the headers of its answer have come, and nothing of the reply yet."""


class Delta(msgspec.Struct, frozen=True):
    """New text of a reply: all tokens that arrived in one read, never empty."""

    text: str


class Reasoning(msgspec.Struct, frozen=True):
    """What the model shows of its thinking: all that arrived in one read, never empty, and no part of the text."""

    text: str


class Alive(msgspec.Struct, frozen=True):
    """A read that brought neither text nor reasoning, but shows that the provider works: a ping, an empty delta."""


class Finish(msgspec.Struct, frozen=True):
    """The regular end of a provider's stream. Usage is None when the provider did not report it."""

    reason: FinishReason
    usage: Usage | None


StreamItem = Opened | Alive | Reasoning | Delta | Finish
"""What a provider's stream is made of."""


class Passage(msgspec.Struct, frozen=True):
    """A chunk of a document that is similar to a query. Similarity is the cosine, -1 to 1."""

    id: str
    document_id: str
    title: str
    content: str
    similarity: float


class Started(msgspec.Struct, frozen=True):
    """The user message and the reply row are stored; this provider answers, unless a `Restart` says otherwise."""

    conversation_id: str
    user_message_id: str
    message_id: str
    provider: str | None
    model: str | None


class Restart(msgspec.Struct, frozen=True):
    """Another candidate answers; text so far is void."""

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
    """What moderation flagged a text for."""
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    """Of the request that was answered with it."""


class FinalState(msgspec.Struct, frozen=True, kw_only=True):
    """How a reply ended: what is stored of it, and all that its readers are told (`chat.endings.ending_of`).

    `problem` is None when it ended well or was stopped. `length` is that of the stored text, in code points.
    """

    status: ReplyStatus
    finish_reason: str | None = None
    problem: Problem | None = None
    usage: Usage | None = None
    provider: str | None = None
    model: str | None = None
    length: int


class Done(msgspec.Struct, frozen=True):
    """The regular end. `length` is that of the stored text, in code points."""

    status: ReplyStatus
    finish_reason: str | None
    usage: Usage | None
    provider: str | None
    model: str | None
    length: int


class Stopped(msgspec.Struct, frozen=True):
    """A user stopped the reply; what was written is kept."""

    usage: Usage | None
    length: int


class Failed(msgspec.Struct, frozen=True):
    """The reply failed or was interrupted; what was stored is kept. `length` as in `Done`: a reader that holds more
    cuts its text to it."""

    problem: Problem
    status: ReplyStatus
    length: int


class Source(msgspec.Struct, frozen=True):
    """A passage that the reply was given, as its readers see it. It is cited by its place in the list, from 1."""

    id: str
    document_id: str
    title: str
    similarity: float
    excerpt: str


class Sources(msgspec.Struct, frozen=True):
    """What was found in the user's documents. `error` is a problem code: the search failed, or some documents could not
    be searched, and the reply goes without what is missing."""

    items: tuple[Source, ...]
    error: str | None = None


Preamble = Started | Sources | Restart
Ending = Done | Stopped | Failed

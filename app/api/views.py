"""What clients send and see: the JSON bodies of `/v1`. Docstrings and descriptions stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

import msgspec

from app.api.paging import Page
from app.errors import ERRORS, InvalidRequest, PayloadTooLarge
from app.retrieval.library import MAX_TITLE_CHARACTERS
from app.retrieval.media_types import KINDS
from app.retrieval.search import MAX_QUERY_CHARACTERS
from app.routing.catalog import provider_names
from app.store.documents import DocumentStatus
from app.store.rows import Conversation, StoredMessage
from app.values import (
    Feedback,
    Problem,
    ReasoningEffort,
    ReplyFinishReason,
    ReplyStatus,
    ReplyUsage,
    Role,
    TaskType,
)

MAX_CONTENT_CHARACTERS = 100_000
MAX_COMMENT_CHARACTERS = 2000

Id = Annotated[str, msgspec.Meta(extra_json_schema={"format": "uuid"})]
Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Metadata = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Metadata"})]
PassageMetadata = Annotated[
    dict[str, Any], msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/PassageMetadata"})
]
StoredSource = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Source"})]
Instructions = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=8000,
        description="What the user wants of every reply: a part of the system prompt, after the operator's.",
    ),
]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
# any name is read, since the router's refusal says which providers are configured
ProviderChoice = Annotated[
    str, msgspec.Meta(min_length=1, max_length=100, extra_json_schema={"enum": list(provider_names())})
]
ModelId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
DocumentTitle = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TITLE_CHARACTERS)]
# the columns of these two are text: what else a later version may have stored there is still shown
FinishReasonText = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(get_args(ReplyFinishReason))})]
ErrorCode = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(ERRORS)})]


def described(text: str) -> msgspec.Meta:
    """What a field means, for the OpenAPI document."""
    return msgspec.Meta(description=text)


def require_short(content: str, field: str = "content") -> None:
    """Raises `PayloadTooLarge` for a text of more than `MAX_CONTENT_CHARACTERS`."""
    if len(content) > MAX_CONTENT_CHARACTERS:
        raise PayloadTooLarge(f"{field}: {len(content)} characters; at most {MAX_CONTENT_CHARACTERS} are taken.")


def require_words(field: str, text: str) -> None:
    """Raises `InvalidRequest` for a text of nothing but blanks."""
    if not text.strip():
        raise InvalidRequest(f"{field}: expected text, got only blanks.")


class View(msgspec.Struct, frozen=True):
    """What clients see of something: the attributes of the same names."""

    @classmethod
    def of(cls, seen: object) -> Self:
        return msgspec.convert(seen, cls, from_attributes=True)


class Health(msgspec.Struct, frozen=True):
    """The process is well."""

    status: Literal["ok"] = "ok"


ParentId = Annotated[
    UUID | msgspec.UnsetType | None,
    described("The message that it follows. Left out, the head of the conversation; null, none: a new beginning."),
]


# ── conversations and messages ───────────────────────────────────────────────────────────────────────────────────


class NewConversation(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation to create. All of it may be left out."""

    title: Title | None = None
    model: Annotated[ModelId | None, described("The model that answers where a message names none.")] = None
    instructions: Instructions | None = None


class ConversationChanges(msgspec.Struct, forbid_unknown_fields=True):
    """The changes of a conversation; null removes a value, a field that is left out stays as it is."""

    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    model: Annotated[
        ModelId | msgspec.UnsetType | None, described("The model that answers where a message names none.")
    ] = msgspec.UNSET
    instructions: Instructions | msgspec.UnsetType | None = msgspec.UNSET
    head_id: Annotated[
        UUID | msgspec.UnsetType,
        described(
            "A message: the branch through it is shown, down to its newest end. One that is shown changes nothing."
        ),
    ] = msgspec.UNSET


class HitView(View, frozen=True):
    """Where a search has found its words: in a message, or in the title of the conversation."""

    message_id: Annotated[Id | None, described("The message, on whatever branch; null for the title.")]
    role: Annotated[Role | None, described("Whose message it is; null for the title.")]
    snippet: Annotated[
        str,
        described(
            "Some 200 characters of the original text as HTML: its own `<`, `>`, `&` and quotes are escaped, and the "
            "only tags are `<mark>` and `</mark>` around what was found."
        ),
    ]
    written_at: Time


class ConversationView(View, frozen=True):
    """A conversation."""

    id: Id
    title: str | None
    model: Annotated[str | None, described("The model that answers where a message names none.")]
    head_id: Annotated[Id | None, described("The last message of the shown branch; null where nothing was said.")]
    last_message_at: Annotated[
        Time, described("When a message was last sent; where none was, when the conversation was created.")
    ]
    preview: Annotated[str | None, described("The last text of the shown branch, its first 200 characters.")]
    message_count: Annotated[int, described("How many messages there are on all branches.")]
    cost_micro_usd: Annotated[
        int, described("What the replies on all branches have cost, in millionths of a dollar, where a price is known.")
    ]
    tokens: Annotated[int, described("The sum of their `tokens_used`.")]
    created_at: Time
    updated_at: Time
    instructions: Annotated[
        str | msgspec.UnsetType | None,
        described("What the user wants of its replies; null where the user's default does. Not there in lists."),
    ] = msgspec.UNSET
    hit: Annotated[HitView | msgspec.UnsetType, described("What was found; there only in a search.")] = msgspec.UNSET

    @classmethod
    def of(cls, seen: Conversation) -> Self:  # type: ignore[override]
        if seen.message_count is None:  # the database takes it over soon
            seen = msgspec.structs.replace(seen, message_count=0, last_message_at=seen.created_at)
        # msgspec.convert takes no attribute that is unset
        return cls(**{name: getattr(seen, name) for name in cls.__struct_fields__ if hasattr(seen, name)})


class SettingsView(View, frozen=True):
    """What a user has chosen for all of their conversations."""

    instructions: Annotated[str | None, described("Those of conversations that have none of their own.")]


class SettingsChanges(msgspec.Struct, forbid_unknown_fields=True):
    """The changes of a user's settings; null removes a value."""

    instructions: Instructions | msgspec.UnsetType | None = msgspec.UNSET


class ConversationPage(Page[ConversationView], frozen=True):
    """One page of conversations."""


class AnswerOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a message is to be answered. All optional: without them the router decides."""

    provider: Annotated[ProviderChoice | None, described("Who is to answer.")] = None
    model: Annotated[ModelId | None, described("The model that is to answer, see `GET /v1/models`.")] = None
    task_type: Annotated[TaskType | None, described("The kind of answer, used where no provider is named.")] = None
    max_tokens: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None, described("The largest number of tokens of the reply.")
    ] = None
    use_rag: Annotated[bool | None, described("Whether to search the user's documents for it.")] = None
    reasoning: Annotated[
        ReasoningEffort | None, described("How much the model is to think first. Left out, the model decides.")
    ] = None


class NewMessage(AnswerOptions, forbid_unknown_fields=True, kw_only=True):
    """A message to send, and how it is to be answered."""

    content: Annotated[str, msgspec.Meta(min_length=1, description="The text; at most 100,000 characters.")]
    parent_id: ParentId = msgspec.UNSET


class NewFeedback(msgspec.Struct, forbid_unknown_fields=True):
    """What I say of a reply."""

    rating: Literal["up", "down"]
    comment: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_COMMENT_CHARACTERS)] | None = None


class SiblingsView(View, frozen=True):
    """The place of a message among those that follow the same one, in the order of their creation."""

    index: Annotated[int, described("Its number, from 1.")]
    count: int
    previous_id: Annotated[Id | None, described("The one before it.")]
    next_id: Annotated[Id | None, described("The one after it.")]


class MessageView(View, frozen=True, kw_only=True):
    """A message. Fields that only replies have are null for other messages."""

    id: Id
    conversation_id: Id
    role: Role
    content: Annotated[str, described("The text; for a streaming reply, the text stored so far.")]
    reasoning: Annotated[str, described("The model's reasoning; empty where it showed none.")]
    reasoning_ms: Annotated[
        int | None,
        described(
            "How long the model has thought, in milliseconds: from the first of its reasoning to the first of the "
            "text, or to the end. Null until the reply is over, and where it is not known."
        ),
    ]
    status: ReplyStatus
    parent_id: Annotated[Id | None, described("The message that it follows; of a reply, the one that it answers.")]
    version: Annotated[int, described("The number that it got among those that follow the same message, from 1.")]
    siblings: Annotated[
        SiblingsView | None, described("Where others follow the same message; null in a turn that has just begun.")
    ]
    seq: Annotated[int, described("How many pieces of the text have been stored.")]
    provider: str | None
    model: str | None
    finish_reason: FinishReasonText | None
    error_code: Annotated[ErrorCode | None, described("Why a reply failed.")]
    problem: Annotated[Problem | None, described("Why a reply failed, as its event stream says it.")]
    sources: Annotated[
        list[StoredSource] | None, described("The passages of the user's documents that the reply may cite.")
    ]
    usage: ReplyUsage | None
    tokens_used: int | None
    cost_micro_usd: Annotated[
        int | None,
        described(
            "What all calls for the reply have cost, in millionths of a dollar; null until it is over, and where no "
            "price is known."
        ),
    ]
    flagged: Annotated[tuple[str, ...] | None, described("The categories for which moderation refused it.")]
    feedback: Annotated[Feedback | None, described("What I say of the reply.")]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, seen: StoredMessage) -> Self:  # type: ignore[override]
        return msgspec.structs.replace(super().of(seen), problem=seen.why())


class MessagePage(Page[MessageView], frozen=True):
    """One page of messages."""


class TurnView(msgspec.Struct, frozen=True):
    """A turn that was begun: the stored user message and its reply, still streaming."""

    user_message: MessageView
    message: MessageView


class Deletion(msgspec.Struct, forbid_unknown_fields=True):
    """That everything is to be deleted."""

    confirm: Annotated[Literal["delete everything of mine"], described("These words.")]


class TextToCheck(msgspec.Struct, forbid_unknown_fields=True):
    """A text to check."""

    content: Annotated[str, msgspec.Meta(min_length=1, description="The text; at most 100,000 characters.")]


class VerdictView(msgspec.Struct, frozen=True):
    """Whether a text may pass."""

    allowed: bool
    categories: Annotated[tuple[str, ...], described("The categories it was flagged for; empty when it is allowed.")]


# ── documents and search ─────────────────────────────────────────────────────────────────────────────────────────


class NewDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A document as JSON."""

    title: DocumentTitle
    content: Annotated[str, msgspec.Meta(min_length=1, description="The text, which is read as Markdown.")]
    metadata: Metadata = {}


class DocumentForm(msgspec.Struct, forbid_unknown_fields=True):
    """A document as a form with a file."""

    file: Annotated[
        bytes,
        msgspec.Meta(
            description=f"One of: {KINDS}.",
            extra_json_schema={"format": "binary", "contentEncoding": None},
        ),
    ]
    title: Annotated[DocumentTitle, described("Left out, it is the file's own title or its name.")] = ""
    metadata: Annotated[str, described("A JSON object, see `Metadata`.")] = ""


class DocumentView(View, frozen=True, kw_only=True):
    """A document. It is searched once its status is `ready`."""

    id: Id
    title: str
    metadata: Metadata
    media_type: str
    status: DocumentStatus
    passages: Annotated[int, described("The number of passages its text was cut into.")]
    indexed: Annotated[int, described("The number of passages that have been indexed.")]
    pages: Annotated[int | None, described("Pages or slides; null where a file has none.")]
    pages_without_text: Annotated[int | None, described("Pages without text, such as scans.")]
    error: Annotated[str | None, described("Why it failed.")]
    embedding_model: str | None
    created_at: Time
    updated_at: Time


class DocumentPage(Page[DocumentView], frozen=True):
    """One page of documents."""


class SearchQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The question or words to search for."""

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QUERY_CHARACTERS)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="The largest number of passages to return.")] = 5
    threshold: Annotated[
        Annotated[float, msgspec.Meta(ge=-1, le=1)] | None,
        described("The least similarity. Left out, it is 0.7, the one configured, or the offline model's own."),
    ] = None
    mode: Annotated[
        Literal["vector", "hybrid"], described("`vector`: by meaning; `hybrid`: by meaning and by words.")
    ] = "vector"
    filter: Annotated[Metadata | None, described("What a passage's metadata must contain.")] = None


class PassageView(View, frozen=True, kw_only=True):
    """A passage of a document."""

    id: Id
    document_id: Id
    title: Annotated[str, described("The document's.")]
    content: str
    metadata: PassageMetadata
    similarity: Annotated[float, described("The cosine similarity, -1 to 1.")]
    score: Annotated[float | None, described("The rank value of a hybrid search; higher is better.")]


class SearchResults(msgspec.Struct, frozen=True):
    """Passages, the best first."""

    items: list[PassageView]
    missing: Annotated[
        list[str],
        described("Embedding models that cannot be asked now: passages that have one of them were not searched."),
    ]


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────

"""Examples of what is sent and answered, by the names of their schemas, for the OpenAPI document and the API page."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from app.api.completions.bodies import ChatCompletionRequest, ChatMessage, EmbeddingsRequest
from app.api.completions.errors import error_body
from app.api.completions.views import (
    ChatCompletion,
    ChoiceView,
    CompletionMessageView,
    CompletionUsage,
    EmbeddingList,
    EmbeddingUsage,
    EmbeddingView,
    ListedModel,
    ListedModels,
)
from app.api.estimate_views import EstimateView, MessageToEstimate, ModelEstimateView
from app.api.file_views import ConversationFile, ErasedView, ImportView
from app.api.key_views import KeyPage, KeyView, NewKey, NewKeyView
from app.api.model_views import DefaultView, ModelsView, ModelView, PriceView
from app.api.ui_chunks import TextPart, UIMessage, UIMetadata
from app.api.ui_messages import ChatBody, UIMessagePage
from app.api.views import (
    AnswerOptions,
    ConversationChanges,
    ConversationPage,
    ConversationView,
    Deletion,
    DocumentPage,
    DocumentView,
    Health,
    MessagePage,
    MessageView,
    NewConversation,
    NewDocument,
    NewFeedback,
    NewMessage,
    PassageView,
    SearchQuery,
    SearchResults,
    SettingsChanges,
    SettingsView,
    TextToCheck,
    TurnView,
    VerdictView,
)
from app.errors import UnknownModel
from app.store.estimates import Left
from app.store.exports import ExportedConversation, ExportedMessage
from app.store.usage import Allowance, Budget, ModelTotals, MyUsage, OtherRequests, Storage, Totals
from app.values import ProviderName, Quota, ReplyUsage, Usage

_CONVERSATION = ConversationView(
    id="0198c6f1-8f43-7b4e-9c55-8b6f2f1c6c11",
    title="A trip to Rome",
    model=None,
    instructions=None,
    head_id="0198c6f1-9a03-7c1f-b0d4-2f6e9c7b1a55",
    last_message_at="2026-11-28T09:30:01.000000+00:00",
    preview="Santa Maria degli Angeli: its floor holds a meridian line.",
    message_count=2,
    cost_micro_usd=36,
    tokens=45,
    created_at="2026-11-28T09:30:00.000000+00:00",
    updated_at="2026-11-28T09:30:03.000000+00:00",
)
_LISTED = msgspec.structs.replace(_CONVERSATION, instructions=msgspec.UNSET)
_QUESTION = MessageView(
    id="0198c6f1-9a02-7d2a-8a3e-53b1d0f2a7e4",
    conversation_id=_CONVERSATION.id,
    role="user",
    content="Which church has the light that moves along the floor?",
    reasoning="",
    reasoning_ms=None,
    status="complete",
    parent_id=None,
    version=1,
    siblings=None,
    seq=0,
    provider=None,
    model=None,
    finish_reason=None,
    error_code=None,
    problem=None,
    sources=None,
    usage=None,
    tokens_used=None,
    cost_micro_usd=None,
    flagged=None,
    feedback=None,
    created_at="2026-11-28T09:30:01.000000+00:00",
    updated_at="2026-11-28T09:30:01.000000+00:00",
)
_BEGUN = msgspec.structs.replace(
    _QUESTION, id="0198c6f1-9a03-7c1f-b0d4-2f6e9c7b1a55", role="assistant", content="", status="streaming"
)
_BEGUN = msgspec.structs.replace(_BEGUN, parent_id=_QUESTION.id)
_REPLY = msgspec.structs.replace(
    _BEGUN,
    content="Santa Maria degli Angeli: its floor holds a meridian line.",
    status="complete",
    seq=2,
    provider="openai",
    model="gpt-5-mini",
    finish_reason="stop",
    usage=ReplyUsage(prompt_tokens=31, completion_tokens=14, cost_micro_usd=36),
    tokens_used=45,
    cost_micro_usd=36,
    updated_at="2026-11-28T09:30:03.000000+00:00",
)
_DOCUMENT = DocumentView(
    id="0198c6f2-1111-7a2b-8c3d-4e5f60718293",
    title="House rules",
    metadata={"language": "en"},
    media_type="text/markdown",
    status="ready",
    passages=1,
    indexed=1,
    pages=None,
    pages_without_text=None,
    error=None,
    embedding_model="text-embedding-3-small",
    created_at="2026-11-28T09:31:00.000000+00:00",
    updated_at="2026-11-28T09:31:02.000000+00:00",
)
_PASSAGE = PassageView(
    id="0198c6f2-2222-7a2b-8c3d-4e5f60718293",
    document_id=_DOCUMENT.id,
    title=_DOCUMENT.title,
    content="The kitchen closes at ten. Dogs are welcome in the garden.",
    metadata={"language": "en", "start": 0, "end": 58},
    similarity=0.83,
    score=None,
)
_TOTALS = {
    "replies": 1,
    "prompt_tokens": 31,
    "completion_tokens": 14,
    "cached_tokens": 0,
    "tokens": 45,
    "cost_micro_usd": 36,
    "unpriced_replies": 0,
}
_USAGE = MyUsage(
    plan="premium",
    allowed=True,
    today=Totals(**_TOTALS),
    month=Totals(**_TOTALS),
    models=(ModelTotals(provider="openai", model="gpt-5-mini", **_TOTALS),),
    held_tokens=0,
    requests=Quota(limit=60, remaining=59, reset=1),
    other_requests=OtherRequests(
        search=Quota(limit=60, remaining=60, reset=0),
        document=Quota(limit=60, remaining=57, reset=3),
        moderation=Quota(limit=60, remaining=60, reset=0),
    ),
    tokens=Quota(limit=100_000, remaining=99_955, reset=1),
    budget=Budget(limit_micro_usd=5_000_000, remaining_micro_usd=4_999_964),
    storage=Storage(
        conversations=Allowance(limit=10_000, used=1, remaining=9_999),
        messages=Allowance(limit=200_000, used=2, remaining=199_998),
        documents=Allowance(limit=2_000, used=1, remaining=1_999),
        passages=Allowance(limit=50_000, used=1, remaining=49_999),
        document_bytes=Allowance(limit=100_000_000, used=94, remaining=99_999_906),
    ),
)
_MODEL = ModelView(
    provider=ProviderName("openai"),
    model="gpt-5-mini",
    available=True,
    unavailable=None,
    breaker="closed",
    streaming=True,
    context_tokens=400_000,
    max_output_tokens=128_000,
    price=PriceView(input=250_000, cached=25_000, output=2_000_000),
    task_types=("creative",),
)

_KEY = KeyView(
    id="0198c6f2-7a10-7c44-9d1e-6b0f3a2c5d77",
    name="notebook",
    hint="parley_Ab3d",
    scope="completions",
    created_at="2026-11-28T09:30:00.000000+00:00",
    expires_at="2027-05-01T00:00:00+00:00",
    last_used_at=None,
)
_LISTED_MODEL = ListedModel(_MODEL.model, 1_795_859_400, _MODEL.provider)
_UI_REPLY = UIMessage(
    id=_REPLY.id,
    role="assistant",
    parts=(TextPart(_REPLY.content, "done"),),
    metadata=UIMetadata(
        conversation_id=_CONVERSATION.id,
        user_message_id=_QUESTION.id,
        provider="openai",
        model="gpt-5-mini",
        status="complete",
        finish_reason="stop",
        usage=ReplyUsage(prompt_tokens=31, completion_tokens=14, cost_micro_usd=36),
        cost_micro_usd=36,
        length=58,
        created_at=_REPLY.created_at,
    ),
)

EXAMPLES: dict[str, msgspec.Struct] = {
    type(example).__name__: example
    for example in (
        Health(),
        ChatBody(
            id="V1StGXR8_Z5jdHi6",
            messages=[
                {"id": "kQ3hPz7mYx2LwB9c", "role": "user", "parts": [{"type": "text", "text": _QUESTION.content}]}
            ],
            trigger="submit-message",
        ),
        _UI_REPLY,
        UIMessagePage([_UI_REPLY], None),
        NewConversation(title=_CONVERSATION.title),
        ConversationChanges(title="Rome in May"),
        _CONVERSATION,
        ConversationPage([_LISTED], None),
        ConversationFile(
            type="parley.export",
            version=1,
            exported_at="2026-11-28T10:00:00.000000+00:00",
            conversation=msgspec.convert(_CONVERSATION, ExportedConversation, from_attributes=True),
            messages=[msgspec.convert(said, ExportedMessage, from_attributes=True) for said in (_QUESTION, _REPLY)],
        ),
        NewFeedback(rating="up", comment="The church I meant."),
        NewMessage(content=_QUESTION.content),
        AnswerOptions(max_tokens=500),
        _REPLY,
        MessagePage([_QUESTION, _REPLY], None),
        TurnView(_QUESTION, _BEGUN),
        NewKey(name=_KEY.name, expires_at=datetime(2027, 5, 1, tzinfo=UTC)),
        NewKeyView(**msgspec.structs.asdict(_KEY), key=_KEY.hint + "Example" * 6 + "000"),
        _KEY,
        KeyPage([_KEY], None),
        SettingsChanges(instructions="Answer in Italian."),
        SettingsView(instructions="Answer in Italian."),
        NewDocument(title=_DOCUMENT.title, content=_PASSAGE.content, metadata=_DOCUMENT.metadata),
        _DOCUMENT,
        DocumentPage([_DOCUMENT], None),
        SearchQuery(query="When does the kitchen close?"),
        SearchResults([_PASSAGE], []),
        Deletion(confirm="delete everything of mine"),
        ImportView(
            id="0198c6f3-3333-7a2b-8c3d-4e5f60718293",
            status="complete",
            conversations=12,
            done=12,
            added_conversations=2,
            added_messages=31,
            added_documents=0,
            error=None,
            created_at="2026-11-28T10:01:00.000000+00:00",
            updated_at="2026-11-28T10:01:02.000000+00:00",
        ),
        ErasedView(conversations=12, messages=240, documents=3),
        TextToCheck(content=_QUESTION.content),
        VerdictView(allowed=True, categories=()),
        MessageToEstimate(content=_QUESTION.content, max_tokens=500),
        EstimateView(
            prompt_tokens=31,
            output_tokens=500,
            most_micro_usd=5_485,
            models=(ModelEstimateView(_MODEL.provider, _MODEL.model, max_tokens=500, cost_micro_usd=1_097),),
            left=Left(requests=_USAGE.requests, tokens=_USAGE.tokens, budget=_USAGE.budget),
        ),
        ChatCompletionRequest(model="auto", messages=[ChatMessage(role="user", content=_QUESTION.content)]),
        ChatCompletion(
            id="chatcmpl-0198c6f19a037c1fb0d42f6e9c7b1a55",
            created=1_795_859_400,
            model=_MODEL.model,
            choices=[ChoiceView(CompletionMessageView(_REPLY.content), "stop")],
            usage=CompletionUsage.of(Usage(31, 9)),
        ),
        error_body(UnknownModel("No provider offers the model 'gpt-0'. Available: gpt-5-mini.")),
        ListedModels([_LISTED_MODEL]),
        _LISTED_MODEL,
        EmbeddingsRequest(model="auto", input=[_QUESTION.content]),
        EmbeddingList([EmbeddingView(0, [0.6, -0.8])], "text-embedding-3-small", EmbeddingUsage(9, 9)),
        ModelsView(DefaultView(provider=_MODEL.provider, model=_MODEL.model), (_MODEL,)),
        _USAGE,
    )
}

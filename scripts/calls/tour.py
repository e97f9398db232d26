"""Tour: makes every database call of the service at least once, through its stores."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from app.errors import AppError, ContentFlagged, ProviderUnavailable
from app.personal_keys import make_key
from app.store.charges import Charges
from app.store.client import Supabase
from app.store.completions import FinishedCompletion, Renewed, StoredCompletions
from app.store.conversations import Conversations
from app.store.documents import Documents, Question
from app.store.erasure import Erasure
from app.store.estimates import Estimates
from app.store.exports import Exports
from app.store.imports import ImportedConversation, ImportedDocument, ImportedMessage, Imports
from app.store.indexing import Indexing, PassageVector
from app.store.keys import Keys
from app.store.limits import Limits
from app.store.messages import ChatTurn, Messages, OfferedModel, Stretch, TurnOffer
from app.store.plans import Plans
from app.store.prices import Prices
from app.store.project import Project
from app.store.replies import Charge, FinishedReply, Piece, Replies, Spent, TurnVerdict
from app.store.retention import Retention
from app.store.titles import StoredTitles
from app.store.usage import Usages
from app.store.user_settings import UserSettings
from app.values import Feedback, FinalState, IdempotencyKey, Regenerate, ReplyUsage, Send, Source
from scripts.calls.recorder import User
from scripts.calls.tape import VECTOR

FIRST, SECOND = "first-model", "second-model"
"""Embedding models that no other process has, so that no other process indexes these documents."""
BEYOND = 2**53 - 1
"""A position after all existing ones."""


async def tour(supabase: Supabase, user: User) -> None:
    """Use every store as the service does. Needs a database of its own, since it changes the limits of all users."""
    await _limits_and_plans(supabase, user)
    conversation = await _conversations(supabase, user)
    await _titles(supabase, user)
    await _completions(supabase, user)
    await _keys(supabase, user)
    assert not any([step.rows async for step in Retention(supabase).retire("audit", 36_500, dry_run=True)])
    await _turns(supabase, user, conversation)
    await _chats(supabase, user)
    await _documents(supabase, user)
    await _end(supabase, user, conversation)


async def _limits_and_plans(supabase: Supabase, user: User) -> None:
    limits, plans, usages = Limits(supabase), Plans(supabase), Usages(supabase)
    await Project(supabase, publishable_key="", jwt_secret=None).applied_migrations()
    await limits.configure_limits(
        require_premium=True,
        requests_per_minute=1000,
        tokens_per_minute=1_000_000,
        screen_input=True,
        embeddings={"provider": "a-provider", "model": FIRST, "input": 20_000},
    )
    await limits.configure_documents(max_bytes=1_000_000, max_passages=100)
    await limits.show(None, {})
    changes = {
        "premium": True,
        "requests_per_minute": 500,
        "tokens_per_minute": None,
        "monthly_budget_micro_usd": 1_000_000,
        "max_conversations": 1000,
        "max_messages": None,
        "max_documents": 100,
        "max_passages": 10_000,
        "max_document_bytes": 10_000_000,
    }
    await limits.show("pro", changes)
    with suppress(AppError):  # no plan yet
        await usages.admit_request(user.token, "search")
    await plans.grant(user.email, "pro", datetime(2100, 1, 1, tzinfo=UTC))
    await plans.show(user.email)
    assert [entitled.user_id async for entitled in plans.users("pro")] == [user.id]
    with suppress(AppError):
        await plans.grant(user.email, "no such plan", None)
    with suppress(AppError):
        await plans.show("nobody@parley.example")
    await _prices(Prices(supabase))
    await usages.admit_request(user.token, "search", charge=False)
    await usages.admit_request(user.token, "moderation")
    await usages.admit_search(user.token, "a question")
    await usages.mine(user.token)


async def _prices(prices: Prices) -> None:
    await prices.set("a-provider", "a-model", input=250_000, cached=None, output=2_000_000)
    await prices.set("a-provider", "another", input=0, cached=0, output=0)
    await prices.all()
    await prices.remove("a-provider", "another")
    await prices.plan_models("pro", ["a-provider/a-model", "demo-1"])
    await prices.plan_models("pro")
    await prices.plan_models("pro", None)


async def _conversations(supabase: Supabase, user: User) -> str:
    conversations, settings = Conversations(supabase), UserSettings(supabase)
    await settings.save(user.token, "Be brief.")
    await settings.get(user.token)
    conversation = await conversations.create(user.token, title="A title", model="a-model", instructions="Be polite.")
    await conversations.create(user.token, title=None, model=None)
    await conversations.page(user.token, after=None, limit=2)
    await conversations.page(user.token, after=(conversation.last_message_at, conversation.position), limit=2)
    await conversations.get(user.token, conversation.id)
    await conversations.rename(user.token, conversation.id, {"title": "Another", "model": None, "instructions": None})
    [hit] = await conversations.search(user.token, "another", after=None, limit=2)
    await conversations.search(user.token, "another", after=hit.cursor, limit=2)
    await Indexing(supabase).index_waiting_texts()
    return conversation.id


async def _titles(supabase: Supabase, user: User) -> None:
    titles, title_id = StoredTitles(supabase), str(uuid.uuid4())
    untitled = (await Conversations(supabase).create(user.token, title=None, model=None)).id
    model = OfferedModel(provider="a-provider", model="a-model", known=True, input=250_000, output=2_000_000)
    await titles.begin(user.id, untitled, title_id, [model], prompt_tokens=100, output_tokens=20)
    call = Charge(kind="title", provider="a-provider", model="a-model", prompt_tokens=90, completion_tokens=4)
    await titles.finish(user.id, untitled, title_id, "A title", [call])
    await titles.begin(user.id, untitled, title_id, [model], prompt_tokens=100, output_tokens=20)  # it has one


async def _completions(supabase: Supabase, user: User) -> None:
    completions, completion_id, request_id = StoredCompletions(supabase), str(uuid.uuid4()), str(uuid.uuid4())
    model = OfferedModel(provider="a-provider", model="a-model", known=True, input=250_000, output=2_000_000)
    offer = TurnOffer(models=[model], others=[], passage_tokens=0, system_tokens=50)
    await completions.begin(user.id, completion_id, prompt_tokens=100, max_tokens=None, offer=offer)
    call = Charge(kind="reply", provider="a-provider", model="a-model", prompt_tokens=90, completion_tokens=4)
    await completions.renew([Renewed(completion_id, (call,))])
    finished = FinishedCompletion(
        id=completion_id, user_id=user.id, calls=(call,), flagged=("violence",), flagged_part="output"
    )
    await completions.finish([finished])
    await completions.models(user.id, [model])
    await completions.begin_embeddings(user.id, request_id, tokens=20, provider="a-provider", model=FIRST, price=20_000)
    embedding = Charge(kind="embedding", provider="a-provider", model=FIRST, prompt_tokens=20, cost_micro_usd=1)
    await Charges(supabase).charge(user.id, [embedding], held=request_id)


async def _keys(supabase: Supabase, user: User) -> None:
    keys, key = Keys(supabase), make_key()
    created = await keys.create(user.token, key, "A key", datetime.now(UTC) + timedelta(days=1))
    await keys.check(key.hash)
    await keys.check(make_key().hash)
    await keys.all(user.token)
    await keys.revoke(user.token, created.id)
    created = await keys.create_for(user.email, make_key(), "Another key", None)
    await keys.all_of(user.email)
    await keys.revoke_any(created.id)


async def _turns(supabase: Supabase, user: User, conversation: str) -> None:
    conversations, messages, replies = Conversations(supabase), Messages(supabase), Replies(supabase)
    writer, reply, regenerated, flagged = (str(uuid.uuid4()) for _ in range(4))
    key, question = IdempotencyKey("a-key", "a-hash"), Send(conversation, "A question")
    model = OfferedModel(
        provider="a-provider", model="a-model", known=True, input=250_000, cached=25_000, output=2_000_000
    )
    offer = TurnOffer(models=[model], others=[model], passage_tokens=3000, system_tokens=50)
    estimates = Estimates(supabase)
    await estimates.allowed(user.token, [model])
    for place in (conversation, None):
        await estimates.turn(
            user.token,
            "A question",
            conversation_id=place,
            max_tokens=None,
            models=[model],
            passage_tokens=3000,
            system_tokens=50,
        )
    begun = await messages.begin_turn(
        user.token, question, writer=writer, reply_id=reply, key=key, max_tokens=100, offer=offer
    )
    await messages.replay_turn(user.token, key)
    await messages.replay_turn(user.token, IdempotencyKey("no-key", "a-hash"))
    with suppress(AppError):
        await messages.replay_turn(user.token, IdempotencyKey("a-key", "another-hash"))
    for refused in (Send(str(uuid.uuid4()), "x"), Send(conversation, " ")):
        with suppress(AppError):
            await messages.begin_turn(user.token, refused, writer=writer, reply_id=str(uuid.uuid4()))
    source = Source("a-passage", "a-document", "A title", 0.5, "An excerpt")
    piece = Piece(reply, 1, "An ans", "demo", "demo-1", [source])
    call = Charge(kind="reply", provider="demo", model="demo-1", prompt_tokens=10, cost_micro_usd=7)
    await replies.journal_write([piece], [reply], [Spent(reply, (call,))])
    await messages.read_reply(user.token, reply, 3, 0)
    await messages.stop_reply(user.token, reply)
    await replies.journal_write([], [reply, str(uuid.uuid4())])
    with suppress(AppError):  # still streaming
        await messages.begin_turn(user.token, Regenerate(reply), writer=writer, reply_id=str(uuid.uuid4()))
    done = FinalState(
        status="complete", finish_reason="stop", usage=ReplyUsage(10, 20, 5), provider="demo", model="demo-1", length=9
    )
    finished = FinishedReply(
        id=reply,
        user_id=user.id,
        content="An answer",
        final=done,
        sources=[source],
        cost_micro_usd=7,
        calls=(call,),
        verdict=TurnVerdict(passed=True),
    )
    await replies.finish_replies([finished])
    await messages.begin_turn(user.token, Regenerate(reply), writer=writer, reply_id=regenerated)
    await messages.begin_turn(user.token, Send(conversation, "Another question"), writer=writer, reply_id=flagged)
    failed = FinalState(status="failed", problem=ProviderUnavailable("Why.").problem(), length=0)
    refused_for = ContentFlagged(categories=["violence"]).problem()
    filtered = FinalState(
        status="filtered", problem=refused_for, usage=ReplyUsage(1, 1), provider="demo", model="demo-1", length=0
    )
    verdict = TurnVerdict(flagged=("violence",), part="input")
    await replies.finish_replies(
        [
            FinishedReply(id=regenerated, user_id=user.id, content="", final=failed),
            FinishedReply(id=flagged, user_id=user.id, content="", final=filtered, verdict=verdict),
        ]
    )
    await messages.get(user.token, reply)
    await messages.get(user.token, begun.user_message.id)
    await messages.get(user.token, regenerated)
    await messages.get(user.token, flagged)
    await messages.set_feedback(user.token, reply, Feedback("down", "A comment"))
    await messages.set_feedback(user.token, reply, None)
    await messages.page(user.token, conversation, Stretch(), limit=10)
    await messages.page(user.token, conversation, Stretch(before=BEYOND, backward=True), limit=10)
    await messages.page(user.token, conversation, Stretch(after=begun.user_message.id), limit=10)
    exports = Exports(supabase)
    await exports.conversation(user.token, conversation)
    assert conversation in [found.id async for found in exports.conversations(user.token)]
    assert [found.id async for found in exports.messages(user.token, conversation)]
    edited = Send(conversation, "A better question", parent_id=None)
    beside = await messages.begin_turn(user.token, edited, writer=writer, reply_id=str(uuid.uuid4()))
    follows = Send(conversation, "And another", parent_id=beside.message.id)
    await messages.begin_turn(user.token, follows, writer=writer, reply_id=str(uuid.uuid4()))
    await conversations.switch(user.token, conversation, reply)
    await messages.delete(user.token, beside.user_message.id)
    await replies.recover_replies()
    await replies.reachable()


async def _chats(supabase: Supabase, user: User) -> None:
    messages = Messages(supabase)
    writer = str(uuid.uuid4())
    sent = ChatTurn(chat_id="a-chat", message_id="a-message", content="A question", seen=("another-message",))
    again = ChatTurn(chat_id="a-chat", message_id="a-message", content="A question", regenerate=True, target_id="x")
    unknown = ChatTurn(chat_id="no-chat", message_id=None, content=None, regenerate=True, target_id="x")
    await messages.chat_reply(user.token, "a-chat")
    for what in (sent, sent, again):  # sent; sent twice; busy
        begun = await messages.begin_turn(user.token, what, writer=writer, reply_id=str(uuid.uuid4()))
    with suppress(AppError):
        await messages.begin_turn(user.token, unknown, writer=writer, reply_id=str(uuid.uuid4()))
    await messages.chat_reply(user.token, "a-chat")
    await messages.chat_page(user.token, "a-chat", None, limit=10)
    await messages.chat_page(user.token, "a-chat", BEYOND, limit=10)
    ended = FinalState(status="failed", problem=ProviderUnavailable("Why.").problem(), length=0)
    finished = FinishedReply(id=begun.message.id, user_id=user.id, content="", final=ended)
    await Replies(supabase).finish_replies([finished])
    await messages.begin_turn(user.token, again, writer=writer, reply_id=str(uuid.uuid4()))


async def _documents(supabase: Supabase, user: User) -> None:
    documents, indexing = Documents(supabase), Indexing(supabase)
    worker = str(uuid.uuid4())
    passages = [{"content": "A first passage", "metadata": {}}, {"content": "A second passage", "metadata": {}}]
    created = await documents.create(
        user.token,
        title="A document",
        passages=passages,
        content_hash="a",
        metadata={},
        media_type="text/plain",
        model=FIRST,
    )
    document = created.document.id
    await indexing.charge_reading(user.id, 3)
    [job] = await indexing.claim_index_jobs(worker, FIRST, 1)
    await indexing.renew_index_jobs(worker, [document])
    await indexing.queue()
    await indexing.release_index_jobs(worker)
    [job] = await indexing.claim_index_jobs(worker, FIRST, 1)
    step = await indexing.index_passages(worker, job, FIRST, [], 64)
    vectors = [PassageVector(waiting.passage, VECTOR) for waiting in step.passages]
    await indexing.index_passages(worker, job, FIRST, vectors, 64)
    await indexing.index_passages(worker, job, FIRST, vectors, 64)  # lost: it is done
    [model] = await documents.models(user.token)
    await Charges(supabase).charge(
        user.id, [Charge(kind="embedding", provider="a-provider", model=FIRST, prompt_tokens=9)], document_id=document
    )
    for hybrid in (False, True):
        questions = [Question(model, VECTOR, 0.5), Question(model, None, 0.5)]
        await documents.search(user.token, text="passage", questions=questions, count=5, filter={}, hybrid=hybrid)
    await indexing.reembed_progress(SECOND)
    old = await indexing.passages_to_reembed(SECOND, 64)
    assert old is not None
    await indexing.store_reembedded(SECOND, old, [PassageVector(waiting.passage, VECTOR) for waiting in old.passages])
    await indexing.passages_to_reembed(SECOND, 64)
    await documents.create(
        user.token,
        title="A document",
        passages=passages[:1],
        content_hash="b",
        metadata={},
        media_type="text/plain",
        document_id=document,
        model=SECOND,
    )
    await indexing.claim_index_jobs(worker, SECOND, 1)
    await indexing.postpone_index_job(worker, document, "A reason", final=True)
    await documents.get(user.token, document)
    await documents.page(user.token, before=None, limit=10)
    await documents.page(user.token, before=BEYOND, limit=10)
    assert [found.id async for found in Exports(supabase).documents(user.token)] == [document]
    await documents.delete(user.token, document)


async def _import(supabase: Supabase, user: User) -> None:
    imports, at = Imports(supabase), "2026-01-02T03:04:05+00:00"
    begun = await imports.begin(user.token, 1)
    document = ImportedDocument(
        id="d", title="D", metadata={}, media_type="a/b", content_hash="h", pages=2, pages_without_text=1, created_at=at
    )
    await imports.add_documents(begun.id, [document])
    asked = ImportedMessage(id="a", parent_id=None, role="user", content="A question", created_at=at, updated_at=at)
    conversation = ImportedConversation(id="c", title="C", head_id="a", created_at=at)
    await imports.add_messages(begun.id, conversation, [asked], fresh=False, last=True)
    await imports.end(begun.id)
    await imports.get(user.token, begun.id)


async def _end(supabase: Supabase, user: User, conversation: str) -> None:
    await Usages(supabase).mine(user.token)
    await Conversations(supabase).delete(user.token, conversation)
    await _import(supabase, user)
    await Erasure(supabase).part(user.token)
    plans = Plans(supabase)
    with suppress(AppError):  # refused: a user has the plan
        await plans.delete("pro")
    await plans.revoke(user.email)
    await plans.delete("pro")

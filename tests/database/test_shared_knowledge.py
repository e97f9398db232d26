"""What Python, SQL and the docs each have to know: listed here, once, and read from where it stands on each side.

Whoever changes one side meets the others here. A new check or `c_…` constant of the database, and a new closed list in
`app/values.py`, is entered as well, if only among those that nobody else has to know.
"""

from __future__ import annotations

import argparse
import json
import re
from typing import Literal, get_origin

import msgspec
import pytest
from msgspec.inspect import type_info
from psycopg.types.json import Jsonb

from app import values
from app.admin import CAPS, changes
from app.admin_arguments import KEY_NAME_CHARACTERS, MODEL_CHARACTERS, MOST_MODELS
from app.api.key_owners import KEY_SECONDS
from app.api.key_views import NewKey
from app.api.paging import MAX_LIMIT
from app.api.search import SearchQuery
from app.api.ui_messages import MAX_ID_CHARACTERS, MAX_SEEN
from app.api.views import MAX_COMMENT_CHARACTERS, MAX_CONTENT_CHARACTERS, Instructions, ModelId, Title
from app.chat.choice import LONGEST_REPLY
from app.chat.live import MAX_REASONING_CHARACTERS, MAX_REPLY_CHARACTERS
from app.chat.recovery import RECOVERY_SECONDS
from app.errors import ERRORS, InvalidRequest
from app.providers.base import EMBEDDING_WIDTH
from app.retrieval.chunk import MAX_CHARACTERS
from app.retrieval.embedders import MAX_OTHERS
from app.retrieval.indexer import RENEW_SECONDS
from app.retrieval.library import MAX_METADATA_BYTES, MAX_TITLE_CHARACTERS
from app.retrieval.search import MAX_QUERY_CHARACTERS
from app.settings import MAX_SYSTEM_PROMPT_CHARACTERS, Count, JournalMilliseconds, Settings
from app.store import conversations
from app.store.client import CALL_TIMEOUT, ServiceCall
from app.store.documents import Document, DocumentStatus, Question
from app.store.imports import Import
from app.store.indexing import IndexStep, PassageVector
from app.store.limits import Plan
from app.store.plans import PAGE
from app.store.replies import Charge, Piece, TurnVerdict
from app.store.rows import Conversation, StoredMessage
from app.store.usage import OtherRequests, RequestKind, Storage
from app.store.user_settings import UserSetting
from app.values import Feedback, ReplyStatus, Role
from scripts.bench.passages import RANKED
from tests.database.knowledge import (
    ROOT,
    Asked,
    Check,
    Constant,
    Keys,
    Listed,
    Said,
    Side,
    Written,
    body,
    commented,
    default,
    field,
    longest,
    read,
    words,
)
from tests.support.callers import Connection, one
from tests.support.scripted_database import final

SETTINGS = Settings(supabase_url="", supabase_publishable_key="", supabase_secret_key="")
LEASE = Asked("select extract(epoch from private.lease())::float")
INDEX_LEASE = Asked("select extract(epoch from private.index_lease())::float")
MOST_MATCHES = Written("private.find_embeddings", r"match_count, \d+\), (\d+)\)")
MAX_ROWS = Said(r"max_rows = (\d+)", "supabase/config.toml")
IDEMPOTENCY_KEY: int = max(
    parameter["schema"]["maxLength"]
    for path in json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"].values()
    for operation in path.values()
    for parameter in operation.get("parameters", ())
    if parameter["name"] == "Idempotency-Key"
)
PLAN_CHANGES = changes(
    argparse.Namespace(plan="p", requests=1, tokens=1, budget=1, premium=True, **dict.fromkeys(CAPS, 1))
)


def setting(column: str) -> Asked:
    """What a new database says, before an API has written its own."""
    return Asked(f"select {column} from private.settings")


SAME: dict[str, tuple[Side, ...]] = {
    # ── sizes ────────────────────────────────────────────────────────────────────────────────────────────────────
    "characters of an id that a client chooses": (
        MAX_ID_CHARACTERS,
        Constant("private.begin_chat_turn", "c_id_characters"),
        Check("chats_chat_id_check"),
        Check("chat_messages_client_id_check"),
        Said(r"an id of a chat or of a message in it \| ([\d,]+) characters"),
    ),
    "messages whose ids say what a message follows": (
        MAX_SEEN,
        Constant("private.begin_chat_turn", "c_seen"),
        Said(r"messages of a chat that are looked for, newest first \| ([\d,]+)"),
    ),
    "characters of a user message": (
        MAX_CONTENT_CHARACTERS,
        Constant("private.begin_turn", "c_content_characters"),
        Constant("private.estimate_turn", "c_content_characters"),
        Said(r"a user message \| ([\d,]+) characters"),
    ),
    "characters of a comment on a reply": (
        MAX_COMMENT_CHARACTERS,
        Constant("private.set_feedback", "c_comment_characters"),
        Check("messages_comment_check"),
        commented("public.set_feedback", r"most ([\d,]+) characters"),
    ),
    "models of a plan's own list": (MOST_MODELS, Check("plan_models_models_check")),
    "characters of a conversation's title": (
        longest(Title),
        Check("conversations_title_check"),
        Constant("private.check_conversation", "c_title_characters"),
    ),
    "characters of a key's name": (
        field(NewKey, "name").type.max_length,
        KEY_NAME_CHARACTERS,
        Check("personal_keys_name_check"),
        Constant("private.add_key", "c_name_characters"),
    ),
    "keys of a user": (
        Constant("private.add_key", "c_keys"),
        commented("public.create_key", r"limit_reached \((\d+) keys\)"),
        Said(r"personal keys of a user \| (\d+)"),
        Said(r"user has at most (\d+) keys"),
    ),
    "days of a key": (
        Constant("private.add_key", "c_longest_days"),
        commented("public.create_key", r"more than (\d+) days"),
        Said(r"at most (\d+) days\s+ahead"),
        Said(r"at most (\d+) days ahead", "app/**/*.py"),
    ),
    "seconds that a revoked key works": (
        KEY_SECONDS,
        Said(r"a personal key that was revoked \| (\d+) s"),
        Said(r"refused after at most (\d+) seconds", "app/api/*.py"),
        Said(r"working within (\d+) seconds", "app/*.py"),
    ),
    "characters of instructions": (
        longest(Instructions),
        Check("conversations_instructions_check"),
        Check("user_settings_instructions_check"),
        Constant("private.check_instructions", "c_characters"),
        Said(r"instructions of a conversation or a user \| ([\d,]+) characters"),
    ),
    # of four bytes, which is a token
    "characters of the operator's system prompt": (
        MAX_SYSTEM_PROMPT_CHARACTERS,
        Constant("private.begin_turn", "c_system_tokens"),
        Constant("private.estimate_turn", "c_system_tokens"),
        Said(r"the operator's system prompt \| ([\d,]+) characters"),
    ),
    "characters of a model's name": (
        longest(ModelId),
        Check("conversations_model_check"),
        Constant("private.check_conversation", "c_model_characters"),
        Check("model_prices_model_check"),
        Check("model_prices_provider_check"),
        MODEL_CHARACTERS,
    ),
    "characters of a document's title": (
        MAX_TITLE_CHARACTERS,
        Check("documents_title_check"),
        Constant("private.check_document", "c_title_characters"),
    ),
    "bytes of a document's metadata, as they are stored": (
        Check("documents_metadata_check"),
        Constant("private.check_document", "c_metadata_bytes"),
    ),
    "characters of a document's media type": (
        Check("documents_media_type_check"),
        Constant("private.check_document", "c_media_type_characters"),
    ),
    "characters of a content's hash, as they are stored": (
        Check("documents_content_hash_check"),
        Constant("private.check_document", "c_hash_characters"),
    ),
    "characters of a passage, as they are stored": (
        Check("document_passages_content_check"),
        Constant("private.check_document", "c_passage_characters"),
    ),
    "bytes of a passage's metadata": (
        Check("document_passages_metadata_check"),
        Constant("private.check_document", "c_passage_metadata_bytes"),
    ),
    "characters of an embedding model's name": (
        Check("embeddings_embedding_model_check"),
        Constant("private.check_document", "c_model_characters"),
    ),
    "characters of why a document failed": (
        Check("documents_error_check"),
        Written("public.postpone_index_job", r"left\(p_error, (\d+)\)"),
    ),
    "characters of an Idempotency-Key": (
        IDEMPOTENCY_KEY,
        Check("idempotency_keys_key_check"),
        Constant("private.check_idempotency_key", "c_key_characters"),
        Said(r"an Idempotency-Key \| (\d+) characters"),
    ),
    "characters of a request's hash, as they are stored": (
        Check("idempotency_keys_request_hash_check"),
        Constant("private.check_idempotency_key", "c_hash_characters"),
    ),
    "hours that an Idempotency-Key is kept": (
        Written("public.recover_replies", r"interval '(\d+) hours'"),
        commented("public.recover_replies", r"older than (\d+) hours"),
        Said(r"an Idempotency-Key \| \d+ characters, kept (\d+) h"),
    ),
    "passages of a document": (
        field(Settings, "document_max_passages").type.le,
        Constant("private.check_document", "c_passages"),
    ),
    "bytes of a text that is pushed": (
        Written("private.pushable", r"<= (\d+)"),
        commented("private.pushable", r"more than ([\d,]+) bytes"),
        Said(r"when they have more than ([\d,]+) bytes"),
    ),
    "rows of one statement that are told": (
        Written("private.announce_new_messages", r"limit (\d+)"),
        Written("private.announce_deleted_messages", r"limit (\d+)"),
        Constant("private.announce_conversations", "c_most"),
        Constant("private.announce_deleted_documents", "c_most"),
        Said(r"deletes more than ([\d,]+) rows"),
    ),
    "users of a page": (PAGE, default("public.admin_users", 3), Written("public.admin_users", r"1\), (\d+)\)")),
    "rows of an answer of the Data API": (
        MAX_ROWS,
        Said(r"MAX_ROWS = (\d+)", "scripts/local_supabase/gateway/rest.mjs"),
    ),
    # ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────
    "seconds of a lease": (
        LEASE,
        INDEX_LEASE,
        Said(r"lease of (\d+) s"),
        Said(r"lease (?:of|is) (\d+) s", "app/**/*.py"),
    ),
    "streaming replies of a user": (
        Constant("private.begin_turn", "c_live_replies"),
        Constant("private.begin_completion", "c_live_completions"),
        Said(r"streaming replies of a user \| (\d+)"),
    ),
    "messages of history": (
        Written("private.turn_history", r"b\.usable < (\d+)"),
        commented("private.turn_history", r"at most (\d+) messages"),
        Said(r"history that a turn reads \| (\d+) messages"),
    ),
    "messages of a branch that history is looked for in": (
        Written("private.turn_history", r"b\.steps < (\d+)"),
        commented("private.turn_history", r"of the newest (\d+)"),
    ),
    "characters of a preview": (
        Check("conversations_preview_check"),
        Written("private.preview", r", (\d+)\)"),
        commented("private.preview", r"first (\d+) characters"),
    ),
    "characters of history": (
        Written("private.turn_history", r"h\.characters <= (\d+)"),
        commented("private.turn_history", r"([\d,]+) characters"),
        Said(r"history that a turn reads \| \d+ messages, ([\d,]+) characters"),
    ),
    "bytes of a token": (
        values.BYTES_PER_TOKEN,
        Written("private.estimate_tokens", r"octet_length\(\w+\) \+ 3\) / (\d+)"),
        Written("private.turn_history", r"octet_length\(n\.content\) \+ 3\) / (\d+)"),
        Written("private.history_tokens", r"octet_length\(h\.content\) \+ 3\) / (\d+)"),
    ),
    # ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────
    **{
        f"{kind} of a user": (setting(f"max_{kind}"), Said(rf"what a user has \|.*? ([\d,]+) {kind}\b"))
        for kind in ("conversations", "messages", "documents", "passages")
    },
    "bytes of a user's documents": (setting("max_document_bytes"), Said(r"([\d,]+); they are\ncolumns")),
    "bytes of a document": (SETTINGS.document_max_bytes, setting("document_max_bytes")),
    "passages of a document, as it is set": (SETTINGS.document_max_passages, setting("document_max_passages")),
    "requests a minute": (SETTINGS.rate_limit_requests_per_minute, setting("requests_per_minute")),
    "tokens a minute": (SETTINGS.rate_limit_tokens_per_minute, setting("tokens_per_minute")),
    "premium is required": (SETTINGS.require_premium, setting("require_premium")),
    "messages are screened": (SETTINGS.moderation != "off", setting("screen_input")),
    "seconds of a limit a minute": (
        Constant("private.admit_turn", "c_window"),
        Constant("private.admit_request", "c_window"),
        Constant("private.charge_search", "c_window"),
        Constant("private.delete_my_data", "c_window"),
        Constant("private.begin_embeddings", "c_window"),
        Written("private.my_usage", r"interval '(\d+) seconds'"),
        Written("private.tokens_wait", r"created_at (?:\+|>.*?) interval '(\d+) seconds'"),
        Written("private.request_quota", r"\((\d+) - extract"),
        Said(r"in the last (\d+) seconds", "docs/decisions/0008-limits.md"),
    ),
    "tokens of a reply that nothing limits": (
        LONGEST_REPLY,
        Constant("private.admit_turn", "c_output_tokens"),
        Constant("private.estimate_turn", "c_output_tokens"),
    ),
    "characters of a query that are embedded": (
        MAX_QUERY_CHARACTERS,
        Written("private.query_cost", r"p_query, (\d+)\)"),
    ),
    "tokens held for a reply of unknown length": (
        Written("private.output_reserve", r"least\((\d+),"),
        commented("private.output_reserve", r"when nobody says ([\d,]+)"),
        Said(r"`max_tokens`, else ([\d,]+)", "docs/decisions/0008-limits.md"),
    ),
    "failures before a document is given up": (
        Constant("public.postpone_index_job", "c_attempts"),
        commented("public.postpone_index_job", r"after (\d+) failures"),
    ),
    "the largest limit": (type_info(Count).le, Asked("select 2147483647")),
    # ── search ───────────────────────────────────────────────────────────────────────────────────────────────────
    "passages of an owner who is ranked": (
        RANKED,
        Written("private.ranked_passages", r"select (\d+)"),
        Written("private.index_large_owners", r"c\.passages > (\d+)"),
        Asked("select pg_get_indexdef('private.passage_counts_waiting_idx'::regclass)", r"passages > (\d+)"),
    ),
    "numbers of a vector": (
        EMBEDDING_WIDTH,
        Asked(
            "select format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = 'public.embeddings'::regclass and attname = 'embedding'",
            r"\((\d+)\)",
        ),
        Asked("select pg_get_indexdef('public.embeddings_large_owner_idx'::regclass)", r"halfvec\((\d+)\)"),
        Written("private.nearest_by_index", r"halfvec\((\d+)\)"),
        Constant("private.query_vector", "c_dimensions"),
    ),
    "how similar a passage has to be": (
        SETTINGS.search_threshold,
        default("public.match_embeddings", 2),
        default("public.search_passages", 3),
        Written("private.find_embeddings", r"match_threshold, ([\d.]+)\)"),
        Written("private.find_passages", r"match_threshold, ([\d.]+)\)"),
    ),
    "passages of a search": (
        field(SearchQuery, "limit").default,
        default("public.match_embeddings", 3),
        default("public.search_passages", 4),
        Written("private.find_embeddings", r"match_count, (\d+)\)"),
        Written("private.find_passages", r"match_count, (\d+)\)"),
        Written("private.find_answers", r"p_count, (\d+)\)"),
    ),
    "passages of a search at most": (
        MOST_MATCHES,
        commented("public.match_embeddings", r"\((\d+) at the most\)"),
        Written("private.find_passages", r"match_count, \d+\), (\d+)\)"),
        Written("private.find_answers", r"p_count, \d+\), (\d+)\)"),
        Written("private.hybrid_passages", r"\* p_count, (\d+)\)"),
    ),
    # ── closed lists ─────────────────────────────────────────────────────────────────────────────────────────────
    "ratings of a reply": (words(field(Feedback, "rating").type), Check("messages_rating_check")),
    "roles": (words(Role), Check("messages_role_check")),
    "statuses of a reply": (words(ReplyStatus), Check("messages_status_check")),
    "statuses that end a reply": (
        words(ReplyStatus) - {"streaming"},
        Listed("private.announce_reply", r"new\.status in \((.*?)\)"),
    ),
    "statuses of an import": (words(field(Import, "status").type), Check("imports_status_check")),
    "statuses of a document": (words(DocumentStatus), Check("documents_status_check")),
    "states of an index step": (
        words(field(IndexStep, "state").type),
        Listed("public.index_passages", r"'state', ('\w+')"),
    ),
    "kinds of requests that are charged": (
        words(RequestKind),
        Listed("private.admit_request", r"p_kind not in \((.*?)\)"),
    ),
    "kinds of meters": (words(RequestKind) | {"turn", "lookup"}, Check("meters_kind_check")),
    "kinds of what is stored": (
        frozenset(Storage.__struct_fields__),
        frozenset(CAPS),
        Check("stored_kind_check"),
        Listed("private.most_of", r"when ('\w+') then"),
        Listed("private.usage_left", r"array\[('conversations'.*?)\]"),
    ),
    "kinds of requests that are no turns": (
        words(RequestKind),
        frozenset(OtherRequests.__struct_fields__),
        Listed("private.usage_left", r"array\[('search'.*?)\]"),
    ),
    "parts that moderation refuses": (words(field(TurnVerdict, "part").type), Check("moderation_audit_part_check")),
    "characters of a search over conversations": (
        conversations.MAX_QUERY_CHARACTERS,
        Constant("public.search_conversations", "c_longest"),
    ),
    # ── JSON, by its keys ────────────────────────────────────────────────────────────────────────────────────────
    "keys of a piece": (frozenset(Piece.__struct_fields__), Keys("p_pieces", "public.journal_write")),
    "keys of a call": (frozenset(Charge.__struct_fields__), Keys("s.calls", "private.settle")),
    "kinds of calls": (words(field(Charge, "kind").type), Check("usage_ledger_kind_check")),
    "keys of a finished reply": (
        frozenset(final("a", "text").row()),
        Keys("p_replies", "public.finish_replies", "private.settle"),
    ),
    "keys of a new vector": (frozenset(PassageVector.__struct_fields__), Keys("p_vectors", "public.index_passages")),
    "keys of another model's vector": (
        frozenset(PassageVector.__struct_fields__),
        Keys("p_vectors", "public.store_reembedded"),
    ),
    "keys of a question": (frozenset(Question.__struct_fields__), Keys("p_questions", "private.find_answers")),
    "keys of a plan's changes": (
        frozenset(PLAN_CHANGES),
        Keys("p_changes", "public.admin_limits"),
        Constant("public.admin_limits", "c_columns"),
    ),
    # ── what may be called ───────────────────────────────────────────────────────────────────────────────────────
    "functions of the service": (
        words(ServiceCall),
        Asked(
            "select array_agg(proname::text) from pg_proc where pronamespace = 'public'::regnamespace "
            "and has_function_privilege('service_role', oid, 'execute') "
            "and not has_function_privilege('authenticated', oid, 'execute')"
        ),
    ),
}
"""What has to be equal."""

AT_MOST: dict[str, tuple[Side, Side]] = {
    "characters of a reply": (MAX_REPLY_CHARACTERS, Check("messages_content_check")),
    "characters of reasoning": (MAX_REASONING_CHARACTERS, Check("messages_reasoning_check")),
    "characters of a piece of a document": (MAX_CHARACTERS, Check("document_passages_content_check")),
    "characters of a passage": (Check("document_passages_content_check"), Check("embeddings_content_check")),
    "bytes of a document's metadata": (MAX_METADATA_BYTES, Check("documents_metadata_check")),
    # SHA-256 in hexadecimal digits
    "characters of a request's hash": (64, Check("idempotency_keys_request_hash_check")),
    "characters of a content's hash": (64, Check("documents_content_hash_check")),
    "models that a search asks": (MAX_OTHERS + 1, Constant("private.find_answers", "c_questions")),
    "passages that a search asks for": (field(SearchQuery, "limit").type.le, MOST_MATCHES),
    "items of a page and one more": (MAX_LIMIT + 1, MAX_ROWS),
    "hits of a page and one more": (MAX_LIMIT + 1, Constant("public.search_conversations", "c_most")),
    "messages of a page and one more": (MAX_LIMIT + 1, Constant("private.read_branch", "c_most")),
    # at the slowest pace, with a call that takes as long as it may
    "seconds between two renewals of a reply": (type_info(JournalMilliseconds).le / 1000 + CALL_TIMEOUT.total, LEASE),
    "seconds of three renewals of an index job": (3 * RENEW_SECONDS, INDEX_LEASE),
    "seconds between two recoveries": (RECOVERY_SECONDS, LEASE),
    "what a plan is changed by and shown with": (frozenset(PLAN_CHANGES), frozenset(Plan.__struct_fields__)),
}
"""What has to fit into what is as large, or larger."""

DATABASE_ALONE = {
    "entitlements_plan_check",
    "plans_plan_check",
    "private.export_messages.c_characters",
    "private.export_messages.c_messages",
    "private.passages_with_words.c_ranked",
    "private.retire_conversations.c_conversations",
    "private.retire_conversations.c_messages",
    "private.retire_documents.c_documents",
    "private.retire_documents.c_passages",
    "private.retire_ledger.c_rows",
    "private.retire_ledger.c_users",
    "private.retire_records.c_rows",
    # tests/guard/test_retire_command.py compares these
    "public.retire.c_least",
    "public.retire.c_most",
    "private.index_large_owners.c_batch",
    "private.prefers_index.c_walk",
    "private.begin_title.c_models",
    "private.require_model.c_named",
    "private.found_in_stretch.c_weight",
    "private.found_texts.c_ranked",
    "private.rare_term.c_few",
    "private.rare_term.c_tried",
    "private.index_message.c_at_once",
    "private.index_text.c_most_bytes",
    "private.index_text.c_piece",
    "private.index_text.c_shared",
    "private.index_waiting_texts.c_batch",
    "private.index_waiting_texts.c_searched",
    "private.letters_pattern.c_dropped",
    "private.letters_pattern.c_most",
    "private.search_words.c_longest",
    "private.snippet.c_before",
    "private.snippet.c_end",
    "private.snippet.c_length",
    "private.snippet.c_start",
}
"""Checks and constants that nothing outside the database has to know."""

PYTHON_ALONE = {"TaskType", "FinishReason", "ReplyFinishReason", "PromptRole", "ReasoningEffort"}
"""Closed lists of `app/values.py` whose words the database keeps as any text, or not at all."""


@pytest.fixture
def new_settings(db: Connection) -> None:
    """The settings of a new database."""
    db.execute(
        "update private.settings set require_premium = default, requests_per_minute = default, "
        "tokens_per_minute = default, screen_input = default, document_max_bytes = default, "
        "document_max_passages = default"
    )


@pytest.mark.usefixtures("new_settings")
@pytest.mark.parametrize("what", SAME)
def test_is_the_same_everywhere(db: Connection, what: str) -> None:
    assert differing(db, what) == []


def differing(db: Connection, what: str) -> list[str]:
    """The sides that do not say what the first one says."""
    first, *others = SAME[what]
    expected = read(db, first)
    told = [(side, read(db, side)) for side in others]
    return [f"{side} says {value}, {first} says {expected}" for side, value in told if value != expected]


@pytest.mark.parametrize("what", AT_MOST)
def test_fits(db: Connection, what: str) -> None:
    smaller, larger = (read(db, side) for side in AT_MOST[what])
    assert smaller <= larger


def test_nothing_is_left_out(db: Connection) -> None:
    """Every check with a list or a length, and every constant, is listed above."""
    checks = db.execute(
        "select conname from pg_constraint where contype = 'c' "
        "and connamespace in ('public'::regnamespace, 'private'::regnamespace) "
        r"and pg_get_constraintdef(oid) ~ 'ARRAY\[|<= \d{2}'"
    )
    constants = db.execute(
        "select pronamespace::regnamespace || '.' || proname || '.' || c[1] from pg_proc, "
        r"regexp_matches(prosrc, '\m(c_\w+) constant', 'g') as c "
        "where pronamespace in ('public'::regnamespace, 'private'::regnamespace)"
    )
    live = {name for (name,) in (*checks.fetchall(), *constants.fetchall())}
    sides = [side for listed in (*SAME.values(), *AT_MOST.values()) for side in listed]
    known = {side.name for side in sides if isinstance(side, Check)}
    known |= {f"{side.function}.{side.name}" for side in sides if isinstance(side, Constant)}
    assert live - known - DATABASE_ALONE == set(), "list them above"
    assert live - known >= DATABASE_ALONE, "take out what is gone, or listed twice"
    lists = {name for name, value in vars(values).items() if get_origin(value) is Literal}
    assert lists == PYTHON_ALONE | {"Role", "ReplyStatus"}


# ── one side alone is changed ────────────────────────────────────────────────────────────────────────────────────────

BY_STATEMENT = {
    "characters of a conversation's title": (
        "alter table public.conversations drop constraint conversations_title_check, "
        "add check (char_length(title) <= 100) not valid"
    ),
    "roles": (
        "alter table public.messages drop constraint messages_role_check, "
        "add check (role in ('user', 'assistant', 'system', 'tool'))"
    ),
    "functions of the service": "revoke execute on function public.admin_show from service_role",
}
BY_BODY = {
    "characters of a user message": ("private.begin_turn", "100000", "200000"),
    "seconds of a lease": ("private.lease", "15 seconds", "20 seconds"),
    "bytes of a token": ("private.turn_history", "/ 4)", "/ 3)"),
    "kinds of requests that are charged": ("private.admit_request", "'search', ", ""),
    "keys of a finished reply": ("public.finish_replies", "status text, finish_reason", "status text, reason"),
    "passages of a search at most": ("private.find_embeddings", ", 200)", ", 100)"),
}


@pytest.mark.parametrize("what", BY_STATEMENT)
def test_other_table_is_noticed(db: Connection, what: str) -> None:
    db.execute(BY_STATEMENT[what])
    assert differing(db, what)


@pytest.mark.parametrize("what", BY_BODY)
def test_other_function_is_noticed(db: Connection, what: str) -> None:
    function, old, new = BY_BODY[what]
    definition = one(db, "select pg_get_functiondef(%s::regproc)", [function])
    assert old in definition
    db.execute(definition.replace(old, new))
    assert differing(db, what)


# ── what is no single value ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["", "a", "four", "fives", "x" * 1001, "é", "日本語の文", "🙂" * 7, "a\n\t b"])
def test_tokens_are_estimated_alike(db: Connection, text: str) -> None:
    assert one(db, "select private.estimate_tokens(%s)", [text]) == values.estimate_tokens(text)
    history = Jsonb([{"role": "user", "content": text}])
    assert one(db, "select private.history_tokens(%s)", [history]) == values.estimate_tokens(text)


def functions(db: Connection) -> tuple[str, ...]:
    rows = db.execute(
        "select pronamespace::regnamespace || '.' || proname from pg_proc "
        "where pronamespace in ('public'::regnamespace, 'private'::regnamespace)"
    )
    return tuple(name for (name,) in rows.fetchall())


def test_problems_that_functions_raise_are_ours(db: Connection) -> None:
    raised: set[tuple[str, int]] = set()
    for function in functions(db):
        source = body(db, function)
        found = re.findall(r"errcode = 'PT(\d{3})', message = '(\w+)'", source)
        # what a search is asked with, in Postgres' own codes and whole sentences, for clients of SQL and the Data API
        arguments = re.findall(r"errcode = '22\d{3}'", source)
        assert len(found) + len(arguments) == len(re.findall(r"\braise exception\b", source)), (
            f"{function} raises in another form"
        )
        raised |= {(code, int(status)) for status, code in found}
    assert ("payload_too_large", 413) in raised
    for code, status in raised:
        # 400: a call that is malformed; 422: one that is understood, and holds what is not acceptable
        allowed = {400, 422} if ERRORS[code] is InvalidRequest else {ERRORS[code].status}
        assert status in allowed, f"{code} is {sorted(allowed)}, not {status}"


def test_problems_that_functions_store_are_ours(db: Connection) -> None:
    stored = {code for function in functions(db) for code in re.findall(r"error_code = '(\w+)'", body(db, function))}
    assert "interrupted" in stored
    assert stored <= ERRORS.keys()


def test_events_that_are_pushed_are_described(db: Connection) -> None:
    pushed = read(db, Listed(functions(db), r"'(?:message|conversation|head)\.\w+'"))
    endings = {"message.stopped", "message.failed", "message.interrupted"}  # put together of their statuses
    described = re.findall(r"`((?:message|conversation|head)\.\w+)`", (ROOT / "docs" / "realtime.md").read_text())
    assert set(described) == pushed | endings


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("conversations", Conversation),
        ("messages", StoredMessage),
        ("documents", Document),
        ("user_settings", UserSetting),
    ],
)
def test_rows_are_read_by_columns_that_there_are(db: Connection, table: str, row: type[msgspec.Struct]) -> None:
    readable = db.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped "
        "and has_column_privilege('authenticated', attrelid, attnum, 'select')",
        [f"public.{table}"],
    )
    assert set(row.__struct_fields__) - {"siblings"} <= {name for (name,) in readable.fetchall()}

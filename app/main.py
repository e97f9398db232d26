"""The composition root: builds all parts of a process once and connects them."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from litestar import Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from app import observe
from app.api import problem
from app.api.auth import TokenVerifier
from app.api.callers import AddressLimit, identified
from app.api.chat_ui import chat_routes, with_any_chat_id
from app.api.completions.caller import completion_caller
from app.api.completions.errors import LIMITS, PREFIX
from app.api.completions.routes import completion_routes
from app.api.conversations import conversation_routes
from app.api.documents import document_routes, largest_body
from app.api.estimate import estimate_routes
from app.api.exports import export_routes
from app.api.health import health_routes
from app.api.imports import MAX_FILE_BYTES, import_routes
from app.api.in_flight import InFlight, Share
from app.api.key_owners import KeyOwners
from app.api.keys import key_routes
from app.api.me import me_routes
from app.api.messages import message_routes
from app.api.models import model_routes
from app.api.moderations import moderation_routes
from app.api.openapi import NamedStructs, openapi_config
from app.api.quotas import EXPOSED
from app.api.requests import JsonRequest, observed
from app.api.search import search_routes
from app.api.unanswered import limited
from app.api.unfinished import told_at_the_end
from app.api.usage import usage_routes
from app.api.user_settings import user_settings_routes
from app.api.web import ClientConfig, is_built, web
from app.chat.choice import Choice
from app.chat.completions import Completions
from app.chat.finder import ReplyFinder
from app.chat.importing import Importer
from app.chat.journal import Journal
from app.chat.live import Followers
from app.chat.offering import Offering
from app.chat.recovery import recover
from app.chat.searchable import make_searchable
from app.chat.sources import Retriever
from app.chat.titles import Titles
from app.chat.turn import Turns
from app.chat.writer import Tools
from app.errors import AppError, SupabaseUnavailable
from app.guard.admission import Admission, share_limits
from app.guard.moderation import Moderation
from app.providers.factory import make_moderator, make_providers, warm
from app.retrieval.embedders import Embedders
from app.retrieval.indexer import Indexer
from app.retrieval.library import Library
from app.retrieval.reader import FileReader
from app.retrieval.requested import RequestedVectors
from app.retrieval.search import Search
from app.routing.wiring import Routing
from app.settings import Settings, load_settings, secrets_of, without_effect
from app.startup import in_use
from app.store.charges import Charges
from app.store.client import Supabase, open_supabase
from app.store.completions import StoredCompletions
from app.store.conversations import Conversations
from app.store.documents import Documents
from app.store.erasure import Erasure
from app.store.estimates import Estimates
from app.store.exports import Exports
from app.store.imports import Imports
from app.store.indexing import Indexing
from app.store.keys import Keys
from app.store.limits import Limits
from app.store.messages import Messages
from app.store.project import Project
from app.store.replies import Replies
from app.store.titles import StoredTitles
from app.store.usage import Usages
from app.store.user_settings import UserSettings
from app.supervisor import Closing, Supervisor
from app.values import User

MAX_BODY_BYTES = 1_048_576
START_SECONDS = 2.0
"""How long the start waits until the limits are written into the database."""
DRAIN_SECONDS = 6.0
"""How long replies may continue after the order to stop. The process ends within 10 s: after this come
`turn.STORE_SECONDS`, `serve.SHUTDOWN_SECONDS`, and `CLOSE_SECONDS` for closing all parts."""
GC_THRESHOLDS = (10_000, 20, 20)
"""A turn makes some thousand objects that the collector looks at, and hardly a circle among them."""
CLOSE_SECONDS = 0.5
"""How long closing all parts of the process may take together; the database may be unreachable."""


class Service:
    """All parts of a process: builds them, runs the background jobs, and shuts everything down."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.supabase = open_supabase(
            settings.supabase_url, settings.supabase_publishable_key, settings.supabase_secret_key
        )
        self.project = Project(
            self.supabase,
            publishable_key=settings.supabase_publishable_key,
            jwt_secret=settings.supabase_jwt_secret,
        )
        self.replies = Replies(self.supabase)
        self.limits = Limits(self.supabase)
        self.conversations = Conversations(self.supabase)
        self.messages = Messages(self.supabase)
        self.exports = Exports(self.supabase)
        self.erasure = Erasure(self.supabase)
        self.imports = Imports(self.supabase)
        self.importer = Importer(self.imports)
        self.usages = Usages(self.supabase)
        self.keys = Keys(self.supabase)
        self.key_owners = KeyOwners(self.keys)
        self.user_settings = UserSettings(self.supabase)
        self.admission = Admission(self.usages)
        self.moderation = Moderation(
            make_moderator(settings.moderation, settings.providers),
            fail=settings.moderation_fail,
            output=settings.moderation_output,
            provider=settings.moderation,
        )
        self.charges = Charges(self.supabase)
        self.documents = Documents(self.supabase)
        self.providers = make_providers(settings.providers)
        self.embedders = Embedders(settings)
        self.search = Search(self.documents, self.embedders)
        self.indexing = Indexing(self.supabase)
        self.indexer = Indexer(self.indexing, self.charges, self.embedders, max_passages=settings.document_max_passages)
        self.library = Library(
            self.documents,
            self.indexing,
            FileReader(max_passages=settings.document_max_passages, seconds=settings.document_read_seconds),
            self.indexer,
            max_bytes=settings.document_max_bytes,
        )
        self.routing = Routing(settings, self.providers)
        self.followers = Followers()
        self.journal = Journal(self.replies, interval=settings.journal_interval_ms / 1000)
        self.titles = Titles(
            StoredTitles(self.supabase), self.routing.offers, self.routing.failover, self.routing.catalog
        )
        offering = Offering(self.routing.catalog, settings.system_prompt)
        retriever = Retriever(self.search, self.charges, enabled=settings.enable_rag)
        self.choice = Choice(
            self.routing.offers, offering, retriever, Estimates(self.supabase), titles=settings.titles == "auto"
        )
        tools = Tools(
            self.routing.failover,
            self.moderation,
            self.journal,
            self.routing.catalog,
            settings.system_prompt,
            self.titles if settings.titles == "auto" else None,
        )
        self.turns = Turns(self.messages, self.routing.offers, offering, retriever, self.followers, tools)
        stored = StoredCompletions(self.supabase)
        self.completions = Completions(stored, self.routing.offers, offering, self.followers, tools)
        self.vectors = RequestedVectors(self.embedders, stored, self.charges)
        self.finder = ReplyFinder(self.messages, self.turns)
        self.supervisor = Supervisor()
        self.verifier = TokenVerifier(settings.supabase_url, self._fetch_keys, jwt_secret=settings.supabase_jwt_secret)

    async def _fetch_keys(self) -> bytes:
        url = f"{self.supabase.url}/auth/v1/.well-known/jwks.json"
        try:
            async with self.supabase.session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
                response.raise_for_status()
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SupabaseUnavailable(retry_after=2) from error

    @asynccontextmanager
    async def running(self, _: Litestar) -> AsyncGenerator[None]:
        close = Closing(CLOSE_SECONDS).close
        async with AsyncExitStack() as parts:
            # the stack closes in the opposite order, so each part is closed before the parts that it uses
            parts.callback(observe.event, "service.stopped")
            parts.push_async_callback(close, "supabase", self.supabase.aclose)
            parts.push_async_callback(close, "providers", self._close_providers)
            parts.push_async_callback(close, "embedders", self.embedders.aclose)
            parts.push_async_callback(close, "moderation", self.moderation.aclose)
            parts.push_async_callback(close, "routing", self.routing.aclose)
            parts.push_async_callback(close, "readers", self.finder.aclose)
            parts.push_async_callback(close, "jobs", self.supervisor.aclose)
            parts.push_async_callback(close, "titles", self.titles.aclose)
            parts.push_async_callback(close, "imports", self.importer.aclose)
            parts.push_async_callback(self.drain)
            for line in in_use(self.settings):
                observe.event("settings.in_use", detail=line)
            for line in without_effect(self.settings):
                observe.event("settings.without_effect", detail=line)
            if self.settings.web == "on" and not is_built():
                observe.event("settings.in_use", detail="Web client: not served, as web/dist is not built")
            await self._start_jobs()
            # all objects so far live as long as the process, so the garbage collector can skip them
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            gc.enable()
            observe.event("service.started")
            yield

    async def _close_providers(self) -> None:
        await asyncio.gather(*(provider.aclose() for provider in self.providers.values()))

    async def _start_jobs(self) -> None:
        keep, once = self.supervisor.keep, self.supervisor.once
        keep("journal", self.journal.run)
        keep("watch", self.followers.watch)
        keep("completions", self.completions.renew)
        keep("recovery", lambda: recover(self.replies))
        keep("indexer", self.indexer.run)
        keep("searchable", lambda: make_searchable(self.indexing))
        # wait, so that the first turn has these limits; without a database the start continues, since no turn can begin
        limits = once("limits", lambda: share_limits(self.limits, self.settings, self.embedders.current.model))
        await asyncio.wait({limits}, timeout=START_SECONDS)
        # Ask the providers for their models now, so that no turn waits for a slow provider. That imports their SDKs, in
        # a thread; before the limits, it would make the start wait.
        once("offers", self.routing.offers.all)
        once("default models", self.routing.offers.check_defaults)
        once("warm", lambda: warm(self.providers.values()))

    async def drain(self) -> None:
        """Refuse new turns, tell readers to reconnect elsewhere, and wait for replies to end. Those that have not ended
        after `DRAIN_SECONDS` are stored as `interrupted`. A second call does not wait."""
        patience = 0.0
        if not self.followers.draining:
            patience = DRAIN_SECONDS
            observe.event("service.draining", replies=len(self.turns) + len(self.completions))
            self.followers.drain()
            await self.finder.aclose()
        await asyncio.gather(self.turns.drain(patience), self.completions.drain(patience))

    @staticmethod
    async def user(request: Request[User, Any, Any]) -> User:
        return request.user


class Api(Litestar):
    """Without the plugins for models of pydantic and attrs, of which the API has none: they import version 1 of
    pydantic, 2 MB."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


def create_app(settings: Settings | None = None) -> Litestar:
    """The ASGI application. Call it on the running event loop. Only `app/serve.py` puts the front door before it."""
    settings = settings or load_settings()
    observe.configure(settings.log_level, secrets_of(settings))
    service = Service(settings)
    structs = NamedStructs()
    app = Api(
        route_handlers=[
            health_routes(service.project, service.followers, service.supervisor),
            model_routes(service.choice),
            estimate_routes(service.choice),
            conversation_routes(service.conversations, service.routing.offers, service.turns),
            export_routes(service.exports, service.messages, service.user_settings),
            import_routes(service.imports, service.importer, service.user_settings),
            me_routes(service.erasure, service.turns),
            key_routes(service.keys, service.key_owners),
            usage_routes(service.usages),
            user_settings_routes(service.user_settings),
            moderation_routes(service.admission, service.moderation, service.charges),
            document_routes(service.documents, service.library, service.admission),
            search_routes(service.admission, service.search, service.charges),
            message_routes(service.messages, service.turns, service.finder, service.followers),
            completion_routes(service.completions, service.vectors, service.followers),
            chat_routes(service.messages, service.turns, service.finder, service.followers, service.titles),
        ],
        dependencies={"user": Provide(service.user)},
        exception_handlers={
            AppError: problem.handle_app_error,
            HTTPException: problem.handle_http_exception,
            Exception: problem.handle_unforeseen,
        },
        middleware=[
            told_at_the_end(),
            identified(
                {
                    "/v1/": lambda authorization, _: service.verifier.verify(authorization),
                    PREFIX: completion_caller(service.verifier, service.key_owners),
                },
                AddressLimit(settings.rate_limit_unauthenticated_per_minute),
                InFlight(Share.for_bodies_of(max(MAX_FILE_BYTES, largest_body(settings.document_max_bytes)))),
            ),
            limited(),
        ],
        request_class=JsonRequest,
        lifespan=[service.running],
        request_max_body_size=MAX_BODY_BYTES,
        cors_config=_cors(settings),
        openapi_config=openapi_config(structs),
        plugins=[structs],
        logging_config=None,
    )
    app.state.service = service
    handler = app.asgi_handler
    if settings.web == "on":
        handler = web(handler, app.routes, ClientConfig("", settings.supabase_url, settings.supabase_publishable_key))
    app.asgi_handler = with_any_chat_id(observed(handler, app.routes))
    return app


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_allow_origins:
        return None
    return CORSConfig(
        allow_origins=[],
        allow_origin_regex="|".join(map(_pattern, settings.cors_allow_origins)),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        # all headers are allowed, because client libraries send their own; access is decided by the origin
        allow_headers=["*"],
        expose_headers=[
            "Content-Disposition",
            "Idempotency-Replayed",
            "Location",
            "Preference-Applied",
            "Retry-After",
            "X-Request-ID",
            "X-Should-Retry",
            *EXPOSED,
            *LIMITS,
        ],
    )


def _pattern(origin: str) -> str:
    """A regular expression for an allowed origin. A star stands for any text; as the port, for any port or none."""
    any_port = origin.endswith(":*")
    return re.escape(origin.removesuffix(":*")).replace(r"\*", ".*") + ("(:[0-9]+)?" if any_port else "")


__all__ = ["Service", "Supabase", "create_app"]

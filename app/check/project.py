"""Checks of the Supabase project: keys, schema, signing keys, clock, Realtime, and the model of stored passages."""

from __future__ import annotations

import time

import aiohttp
import msgspec

from app.api.auth import ALGORITHMS, CLOCK_SKEW_SECONDS
from app.check.findings import Check, Finding, failed, ok, warning
from app.errors import SupabaseRefused
from app.project_keys import is_legacy
from app.retrieval.embedders import Embedders
from app.settings import Settings
from app.store.client import Supabase
from app.store.indexing import Indexing
from app.store.project import MIGRATIONS, WORKDIR, Project

PUSH = f"apply supabase/migrations: `npx supabase db push --remote --workdir {WORKDIR}`, see docs/deploy.md"
NOTICEABLE_SECONDS = 2.0
"""Of a difference between the clocks; the date of an answer is known to about a second."""
NOBODY = "00000000-0000-0000-0000-000000000000"
LEGACY_TODO = "make publishable and secret keys (Settings > API Keys); Supabase ends the legacy ones at the end of 2026"


class _Reply(msgspec.Struct):
    """The part of an answer to a join that is read."""

    status: str
    response: dict[str, object] = {}

    @property
    def reason(self) -> str:
        return str(self.response.get("reason", ""))


class _Frame(msgspec.Struct):
    event: str
    ref: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"{}")


def project_checks(settings: Settings, supabase: Supabase, project: Project, embedders: Embedders) -> dict[str, Check]:
    """The checks by name. The first is that of the address, without which the others say nothing."""

    async def publishable_key() -> Finding:
        await project.publishable_key_at_auth()
        await project.publishable_key_at_the_data_api()
        if is_legacy(settings.supabase_publishable_key):
            return warning("SUPABASE_PUBLISHABLE_KEY is accepted, and is a legacy key (anon)", LEGACY_TODO)
        return ok("Auth and the Data API accept SUPABASE_PUBLISHABLE_KEY")

    async def secret_key() -> Finding:
        await project.applied_migrations()
        if is_legacy(settings.supabase_secret_key):
            return warning("SUPABASE_SECRET_KEY is accepted, and is a legacy key (service_role)", LEGACY_TODO)
        return ok("the Data API accepts SUPABASE_SECRET_KEY")

    async def schema() -> Finding:
        return await _schema(project)

    async def signing_keys() -> Finding:
        return await _signing_keys(project, settings)

    async def clock() -> Finding:
        return _clock(await project.clock_ahead())

    async def realtime() -> Finding:
        return await _realtime(supabase, settings.supabase_publishable_key)

    async def passages() -> Finding:
        return await _passages(Indexing(supabase), embedders.current.model)

    return {
        "supabase.publishable_key": publishable_key,
        "supabase.secret_key": secret_key,
        "supabase.schema": schema,
        "supabase.signing_keys": signing_keys,
        "supabase.clock": clock,
        "supabase.realtime": realtime,
        "supabase.passages": passages,
    }


async def _schema(project: Project) -> Finding:
    try:
        applied = await project.applied_migrations()
    except SupabaseRefused as error:
        if error.setting == "SUPABASE_SECRET_KEY":
            return failed("the applied migrations cannot be read without a SUPABASE_SECRET_KEY that is accepted")
        raise
    needed = len(list(MIGRATIONS.glob("*.sql")))
    if not needed:
        return warning(
            f"which migrations are needed is not known: {MIGRATIONS} is not there", "install that folder too"
        )
    missing = project.missing(applied or ())
    if len(missing) == needed:
        return warning(
            "the record of the Supabase CLI has none of Parley's migrations, so which are applied is not known",
            "compare supabase/migrations with what was run in the SQL editor, or use `npx supabase db push --remote`",
        )
    if missing:
        return failed(f"{len(missing)} of {needed} migrations are missing: {', '.join(missing)}", PUSH)
    return ok(f"all {needed} migrations are applied")


async def _signing_keys(project: Project, settings: Settings) -> Finding:
    published = await project.signatures()
    usable = [algorithm for algorithm in published if algorithm in ALGORITHMS]
    if settings.supabase_jwt_secret is None:
        if not usable:
            return failed(
                f"Auth signs with {', '.join(sorted(set(published)))}, and Parley accepts {' and '.join(ALGORITHMS)}",
                "make an ES256 key (Settings > JWT Keys), and rotate to it",
            )
        return ok(f"Auth publishes the keys of its tokens ({', '.join(usable)})")
    if usable:
        return warning(
            "SUPABASE_JWT_SECRET is accepted beside the published keys: whoever knows it can sign in as anybody",
            "revoke the legacy secret when its tokens have expired (Settings > JWT Keys), then unset the setting",
        )
    return ok("Auth signs with SUPABASE_JWT_SECRET (HS256)")


def _clock(ahead: float | None) -> Finding:
    if ahead is None:
        return warning("Supabase's answers have no date, so the clocks cannot be compared", "see that NTP runs here")
    seconds = f"{abs(ahead):.1f} s {'behind' if ahead > 0 else 'ahead of'} Supabase's"
    if abs(ahead) <= NOTICEABLE_SECONDS:
        return ok("this machine's clock is right, as far as Supabase's answers tell")
    todo = "let NTP set this machine's clock"
    if abs(ahead) <= CLOCK_SKEW_SECONDS:
        return warning(f"this machine's clock is {seconds}", todo)
    effect = "new tokens are refused" if ahead > 0 else "tokens expire too early"
    return failed(f"this machine's clock is {seconds}: {effect}", todo)


async def _realtime(supabase: Supabase, publishable_key: str) -> Finding:
    """Join a public topic and a private one as nobody: a project that is set up well refuses both."""
    todo = "see Realtime > Settings of the project; without Realtime, other devices see a reply only when they ask"
    url = f"{supabase.url}/realtime/v1/websocket"
    try:
        async with supabase.session.ws_connect(url, params={"apikey": publishable_key, "vsn": "1.0.0"}) as socket:
            topics = {"1": (f"parley-check-{time.time_ns()}", False), "2": (f"user:{NOBODY}", True)}
            for ref, (topic, private) in topics.items():
                await socket.send_str(_join(ref, topic, private=private))
            answers: dict[str, _Reply] = {}
            while len(answers) < len(topics):
                frame = msgspec.json.decode(await socket.receive_str(), type=_Frame)
                if frame.event == "phx_reply" and frame.ref in topics:
                    answers[frame.ref] = msgspec.json.decode(frame.payload, type=_Reply)
    except aiohttp.WSServerHandshakeError as error:
        return failed(f"Realtime does not open a connection: it answers {error.status}", todo)
    except aiohttp.ClientError as error:
        return failed(f"Realtime cannot be reached ({type(error).__name__})", todo)
    except (TypeError, msgspec.MsgspecError):  # a frame that is no text, or no frame of Realtime
        return failed("Realtime ended the connection before it answered", todo)
    return _joined(public=answers["1"], private=answers["2"])


def _join(ref: str, topic: str, *, private: bool) -> str:
    config = {"broadcast": {"ack": False, "self": False}, "presence": {"enabled": False}, "private": private}
    frame = {
        "topic": f"realtime:{topic}",
        "event": "phx_join",
        "payload": {"config": config},
        "ref": ref,
        "join_ref": ref,
    }
    return msgspec.json.encode(frame).decode()


def _joined(*, public: _Reply, private: _Reply) -> Finding:
    if private.status == "ok":
        return failed(
            "Realtime lets anybody join the private topic of a user: its policies are not Parley's",
            "remove the policies on realtime.messages that are for anon or public",
        )
    if not private.reason.startswith("Unauthorized"):
        return failed(f"Realtime cannot check who may join a private topic: {private.reason[:200]}", "see its log")
    if public.status == "ok":
        return warning(
            "Realtime answers, and allows public channels, which anybody with the publishable key can use at your cost",
            "turn `Allow public access` off in Realtime > Settings, if no other part of your product needs it",
        )
    return ok("Realtime answers, for private channels only, and refuses strangers")


async def _passages(indexing: Indexing, model: str) -> Finding:
    progress = await indexing.reembed_progress(model)
    if progress.passages_left:
        return warning(
            f"{progress.passages_left} of {progress.passages} passages have vectors of another model than {model}",
            "`python -m app.retrieval.reembed` moves them; they can be searched meanwhile",
        )
    return ok(f"{progress.passages} passages are stored, all of them with vectors of {model}")

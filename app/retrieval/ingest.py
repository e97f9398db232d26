"""`python -m app.retrieval.ingest FOLDER`: gives a folder's files to Parley as one user's documents, through its API.

What is there already is not sent again, so a run that was broken off is resumed by starting it once more: each
document carries its file's path and hash in its metadata (`source`, `sha256`, and `charset` where one was named). A
file that has changed replaces its document.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from supabase import AsyncClientOptions, AuthApiError, AuthError, AuthRetryableError, acreate_client

from app.retrieval import arguments
from app.retrieval.folder import Found, found_in
from app.retrieval.media_types import EXTENSIONS, KINDS
from app.settings import SettingsError, base_url, fits_a_key, where_looked, with_running_stack

AT_ONCE = 4
TRIES = 5
POLL_SECONDS = 0.5
STUCK_SECONDS = 20.0
"""Without progress, after which the command says where to look for the reason."""
STUCK = (
    f"Nothing was indexed for {STUCK_SECONDS:g} s: the API's log says why, such as an embedding provider that refuses "
    "its key. Ctrl-C ends the waiting; what was sent is indexed as soon as that works."
)
PDF = "application/pdf"
USER_SETTINGS = ("PARLEY_TOKEN", "PARLEY_EMAIL", "PARLEY_PASSWORD")


class IngestError(Exception):
    """The run cannot go on; the message is one line that says why."""


@dataclass
class Summary:
    """What became of each file."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def line(self) -> str:
        """All counts; what was skipped with the reasons."""
        parts = [f"{count} {what}" for what, count in sorted(self.counts.items()) if count]
        if self.problems:
            parts.append(f"{len(self.problems)} failed")
        if self.skipped:
            reasons = Counter(reason for _, reason in self.skipped)
            why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
            parts.append(f"{len(self.skipped)} skipped ({why})")
        return ", ".join(parts)


class Sent(msgspec.Struct, frozen=True):
    """A document that was sent, or was there, and is still to be indexed; and what it is counted as."""

    id: str
    source: str
    counted: str


class Session:
    """A user's calls of the API. PARLEY_TOKEN alone says who that is, where it is set: one that is not accepted is an
    error. Else the user signs in, and again when the token has run out."""

    def __init__(self, http: httpx.AsyncClient, environment: Mapping[str, str]) -> None:
        self._http = http
        self._environment = environment
        self._token = environment.get("PARLEY_TOKEN")
        self._signs_in = self._token is None

    async def sign_in(self) -> None:
        """Raises `IngestError`."""
        names = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "PARLEY_EMAIL", "PARLEY_PASSWORD")
        if missing := [name for name in names if not self._environment.get(name)]:
            raise IngestError(f"not signed in: set PARLEY_TOKEN, or {', '.join(missing)} ({where_looked()})")
        url, key, email, password = (self._environment[name] for name in names)
        # a client of its own each time: it takes on the user's identity; the session is never refreshed
        options = AsyncClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=self._http)
        client = await acreate_client(url, key, options)
        try:
            answer = await client.auth.sign_in_with_password({"email": email, "password": password})
        except AuthRetryableError as error:
            raise IngestError(f"SUPABASE_URL cannot be reached: {error.__cause__!r}") from error
        except AuthApiError as error:
            reason = f"status {error.status}, {error.message}" if error.message else f"status {error.status}"
            raise IngestError(f"{email} cannot sign in ({reason}): PARLEY_EMAIL or PARLEY_PASSWORD is wrong") from error
        except (AuthError, ValueError) as error:  # an answer that Auth does not give
            raise IngestError("SUPABASE_URL is no Supabase project: Auth does not answer there") from error
        if answer.session is None:
            raise IngestError(f"{email} cannot sign in (no session)")
        self._token = answer.session.access_token

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the API; comes back after a pause when it is busy. Raises `IngestError` when it cannot be reached."""
        reason = ""
        for attempt in range(TRIES):
            try:
                answer = await self._admitted(method, path, **body)
            except httpx.TransportError as error:
                reason = f"the API at {self._http.base_url} cannot be reached: {error!r}"
                await asyncio.sleep(2**attempt)
                continue
            if answer.status_code == 401 and self._signs_in and attempt == 0:
                self._token = None
            elif answer.status_code == 401:
                what = f"the user {self._environment['PARLEY_EMAIL']}" if self._signs_in else "PARLEY_TOKEN"
                raise IngestError(f"the API does not accept {what}: {_reason(answer)}")
            elif answer.status_code == 503:
                reason = _reason(answer)
                await asyncio.sleep(_pause(answer, 2.0**attempt))
            else:
                return answer
        raise IngestError(reason)

    async def _admitted(self, method: str, path: str, **body: Any) -> httpx.Response:
        """The answer once the limit lets the call pass: a folder with more files than that is no failure."""
        while True:
            if self._token is None:
                await self.sign_in()
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = await self._http.request(method, path, headers=headers, **body)
            if answer.status_code != 429:
                return answer
            await asyncio.sleep(_pause(answer, 1.0))


async def ingest(
    folder: Path,
    session: Session,
    summary: Summary,
    *,
    metadata: Mapping[str, object],
    charset: str | None,
    wait: bool,
    progress: Progress,
) -> None:
    """Send the folder's files, and with `wait` see their indexing through; what became of each goes into `summary`.
    Raises `IngestError`."""
    known = {document["metadata"].get("source"): document async for document in _documents(session)}
    files: list[Found] = []
    for entry in found_in(folder):
        if entry.fate == "send":
            files.append(entry)
        else:
            (summary.skipped if entry.fate == "skip" else summary.problems).append((entry.source, entry.reason))
    sending = progress.add_task("Sending", total=len(files))
    turns = asyncio.Semaphore(AT_ONCE)
    sent: dict[str, Sent] = {}

    async def send(file: Found) -> None:
        async with turns:
            one = await _send(session, file, known.get(file.source), metadata, charset, summary)
        if one is not None:
            sent[one.id] = one
        progress.advance(sending)

    await asyncio.gather(*map(send, files))
    if wait and sent:
        await _see_through(session, sent, summary, progress)


async def _documents(session: Session) -> Any:
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        answer = await session.call("GET", "/v1/documents", params=query)
        if answer.status_code != 200:
            raise IngestError(f"{answer.request.url.copy_with(query=None)} answers: {_reason(answer)}")
        page = answer.json()
        for document in page["items"]:
            yield document
        cursor = page["next_cursor"]


async def _send(
    session: Session,
    file: Found,
    known: Mapping[str, Any] | None,
    metadata: Mapping[str, object],
    charset: str | None,
    summary: Summary,
) -> Sent | None:
    """Send one file if it is new or has changed; the document if it is still to be indexed."""
    try:
        data = await asyncio.to_thread(file.path.read_bytes)
    except OSError as error:
        summary.problems.append((file.source, error.strerror or type(error).__name__))
        return None
    carried = {**metadata, "source": file.source, "sha256": hashlib.sha256(data).hexdigest()}
    media_type = EXTENSIONS[file.path.suffix.lower()]
    if media_type == PDF:
        charset = None
    elif charset is None and known is not None:
        charset = known["metadata"].get("charset")
    if charset is not None:
        carried["charset"] = charset
        media_type = f"{media_type}; charset={charset}"
    if known is not None and known["status"] != "failed" and known["metadata"] == carried:
        summary.counts["unchanged"] += 1
        return Sent(known["id"], file.source, "unchanged") if known["status"] != "ready" else None
    method, url = ("PUT", f"/v1/documents/{known['id']}") if known else ("POST", "/v1/documents")
    part = (PurePosixPath(file.source).name, data, media_type)
    answer = await session.call(method, url, files={"file": part}, data={"metadata": json.dumps(carried)})
    if answer.status_code not in (200, 201):
        reason = _reason(answer)
        hint = " See --charset." if answer.status_code == 422 and "charset" in reason and charset is None else ""
        summary.problems.append((file.source, reason + hint))
        return None
    document = answer.json()
    if method == "POST" and answer.status_code == 200 and document["metadata"] != carried:
        summary.counts["the same content as another"] += 1
        return None
    what = "replaced" if known else "added"
    summary.counts[what] += 1
    return Sent(document["id"], file.source, what)


async def _see_through(session: Session, sent: dict[str, Sent], summary: Summary, progress: Progress) -> None:
    """Wait until all that was sent is indexed, or has failed."""
    indexing = progress.add_task("Indexing", total=None)
    open_ids = set(sent)
    moved, before = time.monotonic(), (0, 0)
    while open_ids:
        passages = indexed = 0
        async for document in _documents(session):
            if document["id"] not in sent:
                continue
            passages += document["passages"]
            indexed += document["passages"] if document["status"] == "ready" else document["indexed"]
            if document["id"] in open_ids and document["status"] in ("ready", "failed"):
                open_ids.discard(document["id"])
                if document["status"] == "failed":
                    failed = sent[document["id"]]
                    summary.counts[failed.counted] -= 1
                    summary.problems.append((failed.source, document["error"] or "not indexed"))
        progress.update(indexing, total=passages, completed=indexed)
        if before != (indexed, len(open_ids)):
            moved, before = time.monotonic(), (indexed, len(open_ids))
        elif time.monotonic() - moved >= STUCK_SECONDS:
            moved = float("inf")
            progress.console.print(STUCK, markup=False, highlight=False, soft_wrap=True)
        if open_ids:
            await asyncio.sleep(POLL_SECONDS)


def _pause(answer: httpx.Response, otherwise: float) -> float:
    """How many seconds the API asks to be left alone."""
    return min(60.0, float(answer.headers.get("retry-after", otherwise)))


def _reason(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return str(problem.get("detail") or problem["title"])
    except (ValueError, KeyError, AttributeError):
        return f"status {answer.status_code}"


def _environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The process's, or beside a running `make run` what that has written, its demo user where no user is named.
    Raises `IngestError` for a token that no header can hold."""
    environment = with_running_stack(environ)
    if "PARLEY_TOKEN" in environ and not any(name in environment for name in USER_SETTINGS):
        # what is left of a command that was to make one and failed
        raise IngestError("PARLEY_TOKEN is empty: set it to an access token, or unset it")
    if not any(name in environment for name in USER_SETTINGS) and "DEMO_EMAIL" in environment:
        environment |= {
            "PARLEY_EMAIL": environment["DEMO_EMAIL"],
            "PARLEY_PASSWORD": environment.get("DEMO_PASSWORD", ""),
        }
    if (legacy := environment.get("SUPABASE_ANON_KEY")) is not None:
        environment.setdefault("SUPABASE_PUBLISHABLE_KEY", legacy)
    for name in ("PARLEY_TOKEN", "SUPABASE_PUBLISHABLE_KEY"):
        if not fits_a_key(environment.get(name, "")):
            raise IngestError(f"{name} holds a character that none has")
    if (url := environment.get("SUPABASE_URL")) is not None:
        environment["SUPABASE_URL"] = _base_url("SUPABASE_URL", url)
    return environment


def _base_url(name: str, text: str) -> str:
    try:
        return base_url(name, text)
    except SettingsError as error:
        raise IngestError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.retrieval.ingest",
        description=f"Give the files of a folder to Parley ({KINDS}), as documents of one user. "
        "Start it again to resume: what is there already is not sent again, and what has changed is replaced.",
        epilog="The user is PARLEY_TOKEN, or PARLEY_EMAIL and PARLEY_PASSWORD with SUPABASE_URL and "
        "SUPABASE_PUBLISHABLE_KEY, from the environment; beside a running `make run`, its demo user. Hidden files, "
        "links, empty files and other types are skipped. The exit code is 0; 1 when a file failed; 2 when the "
        "command could not run or go on.",
    )
    parser.add_argument("folder", type=arguments.folder)
    parser.add_argument(
        "--api", type=arguments.address, metavar="URL", help="of the API (default: API_URL, or http://127.0.0.1:8000)"
    )
    parser.add_argument(
        "--metadata", type=arguments.json_object, default={}, metavar="JSON", help="an object for every document"
    )
    parser.add_argument(
        "--charset",
        type=arguments.charset,
        help="of all text, Markdown and HTML files of this run, e.g. windows-1252 (default: the one that was named "
        "for a file before, or that it names itself, else UTF-8)",
    )
    parser.add_argument("--no-wait", action="store_true", help="end when all is sent, before it is indexed")
    return parser


async def run(options: argparse.Namespace, console: Console) -> int:
    environment = _environment()
    api = options.api or _base_url("API_URL", environment.get("API_URL") or "http://127.0.0.1:8000")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    summary = Summary()
    try:
        async with httpx.AsyncClient(base_url=api, timeout=120) as http:
            session = Session(http, environment)
            with Progress(*columns, console=console) as progress:
                await ingest(
                    options.folder,
                    session,
                    summary,
                    metadata=options.metadata,
                    charset=options.charset,
                    wait=not options.no_wait,
                    progress=progress,
                )
    finally:
        # also of a run that could not go on
        for source, reason in sorted(summary.skipped):
            console.print(f"{source}: skipped, {reason}", markup=False, highlight=False, soft_wrap=True)
        for source, reason in sorted(summary.problems):
            console.print(f"{source}: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
        if line := summary.line():
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not line:
        console.print("the folder is empty")
    return 1 if summary.problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    if not options.folder.is_dir():
        console.print(f"{options.folder} is no folder", style="red", markup=False)
        return 2
    try:
        return asyncio.run(run(options, console))
    except KeyboardInterrupt:
        console.print("stopped; start it again to resume")
        return 130
    except IngestError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""`python -m app.retrieval.ingest FOLDER`: gives a folder's files to Parley as one user's documents, through its API.

What is there already is not sent again, so a run that was broken off is resumed by starting it once more: each
document carries its file's path and hash in its metadata (`source`, `sha256`). A file that has changed replaces its
document.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.retrieval.reader import EXTENSIONS
from app.settings import running_stack

AT_ONCE = 4
TRIES = 5
POLL_SECONDS = 0.5


class IngestError(Exception):
    """The run cannot go on; the message is one line that says why."""


@dataclass
class Summary:
    """What became of each file."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def failed(self, source: str, reason: str) -> None:
        self.counts["failed"] += 1
        self.problems.append((source, reason))


class Session:
    """A user's calls of the API, which renew the token when it has run out."""

    def __init__(self, http: httpx.AsyncClient, environment: Mapping[str, str], token: str | None) -> None:
        self._http = http
        self._environment = environment
        self._token = token

    async def sign_in(self) -> None:
        """Raises `IngestError`."""
        names = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "PARLEY_EMAIL", "PARLEY_PASSWORD")
        if missing := [name for name in names if not self._environment.get(name)]:
            raise IngestError(f"not signed in: set PARLEY_TOKEN, or {', '.join(missing)}")
        url, key, email, password = (self._environment[name] for name in names)
        try:
            answer = await self._http.post(
                f"{url.rstrip('/')}/auth/v1/token?grant_type=password",
                headers={"apikey": key},
                json={"email": email, "password": password},
            )
        except httpx.TransportError as error:
            raise IngestError(f"SUPABASE_URL cannot be reached: {error!r}") from error
        if answer.status_code != 200:
            raise IngestError(f"{email} cannot sign in (status {answer.status_code})")
        self._token = answer.json()["access_token"]

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the API; comes back after a pause when it is busy. Raises `IngestError` when it cannot be reached."""
        reason = ""
        for attempt in range(TRIES):
            try:
                answer = await self._admitted(method, path, **body)
            except httpx.TransportError as error:
                reason = f"the API cannot be reached: {error!r}"
                await asyncio.sleep(2**attempt)
                continue
            if answer.status_code == 401 and self._environment.get("PARLEY_PASSWORD") and attempt == 0:
                self._token = None
            elif answer.status_code == 401:
                raise IngestError("the access token is not accepted; it may have expired")
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
    folder: Path, session: Session, *, metadata: Mapping[str, object], wait: bool, progress: Progress
) -> Summary:
    """Send the folder's files, and with `wait` see their indexing through. Raises `IngestError`."""
    summary = Summary()
    known = {document["metadata"].get("source"): document async for document in _documents(session)}
    files = list(_files(folder))
    sending = progress.add_task("Sending", total=len(files))
    turns = asyncio.Semaphore(AT_ONCE)
    sent: dict[str, str] = {}

    async def send(path: Path) -> None:
        # a name that is no text, as some file systems allow, could not be sent
        source = os.fsencode(path.relative_to(folder).as_posix()).decode(errors="replace")
        async with turns:
            document_id = await _send(session, path, source, known.get(source), metadata, summary)
        if document_id is not None:
            sent[document_id] = source
        progress.advance(sending)

    await asyncio.gather(*map(send, files))
    if wait and sent:
        await _see_through(session, sent, summary, progress)
    return summary


def _files(folder: Path) -> Iterator[Path]:
    """What can be read, in order; nothing hidden, and no link that leads elsewhere."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in EXTENSIONS and path.is_file() and not path.is_symlink() and not hidden:
            yield path


async def _documents(session: Session) -> Any:
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        answer = await session.call("GET", "/v1/documents", params=query)
        if answer.status_code != 200:
            raise IngestError(_reason(answer))
        page = answer.json()
        for document in page["items"]:
            yield document
        cursor = page["next_cursor"]


async def _send(
    session: Session,
    path: Path,
    source: str,
    known: Mapping[str, Any] | None,
    metadata: Mapping[str, object],
    summary: Summary,
) -> str | None:
    """Send one file if it is new or has changed; the document's id if it is still to be indexed."""
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        summary.failed(source, error.strerror or type(error).__name__)
        return None
    carried = {**metadata, "source": source, "sha256": hashlib.sha256(data).hexdigest()}
    if known is not None and known["status"] != "failed" and known["metadata"] == carried:
        summary.counts["unchanged"] += 1
        return str(known["id"]) if known["status"] != "ready" else None
    method, url = ("PUT", f"/v1/documents/{known['id']}") if known else ("POST", "/v1/documents")
    file = (PurePosixPath(source).name, data)
    answer = await session.call(method, url, files={"file": file}, data={"metadata": json.dumps(carried)})
    if answer.status_code not in (200, 201):
        summary.failed(source, _reason(answer))
        return None
    document = answer.json()
    if method == "POST" and answer.status_code == 200 and document["metadata"] != carried:
        summary.counts["the same content as another"] += 1
        return None
    summary.counts["replaced" if known else "added"] += 1
    return str(document["id"])


async def _see_through(session: Session, sent: dict[str, str], summary: Summary, progress: Progress) -> None:
    """Wait until all that was sent is indexed, or has failed."""
    indexing = progress.add_task("Indexing", total=None)
    open_ids = set(sent)
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
                    summary.failed(sent[document["id"]], document["error"] or "not indexed")
        progress.update(indexing, total=passages, completed=indexed)
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


def _environment() -> dict[str, str]:
    """The process's, over what `make run` has written."""
    written = running_stack()
    if "DEMO_EMAIL" in written:
        written |= {"PARLEY_EMAIL": written["DEMO_EMAIL"], "PARLEY_PASSWORD": written.get("DEMO_PASSWORD", "")}
    return written | {name: value for name, value in os.environ.items() if value}


def _json_object(text: str) -> dict[str, object]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.retrieval.ingest",
        description="Give the text, Markdown, HTML and PDF files of a folder to Parley, as documents of one user. "
        "Start it again to resume: what is there already is not sent again, and what has changed is replaced.",
        epilog="The user is PARLEY_TOKEN, or PARLEY_EMAIL and PARLEY_PASSWORD with SUPABASE_URL and "
        "SUPABASE_PUBLISHABLE_KEY, from the environment; beside a running `make run`, its demo user.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--api", metavar="URL", help="of the API (default: API_URL, or http://127.0.0.1:8000)")
    parser.add_argument(
        "--metadata", type=_json_object, default={}, metavar="JSON", help="an object for every document"
    )
    parser.add_argument("--no-wait", action="store_true", help="end when all is sent, before it is indexed")
    return parser


async def run(options: argparse.Namespace, console: Console) -> int:
    environment = _environment()
    api = options.api or environment.get("API_URL") or "http://127.0.0.1:8000"
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with httpx.AsyncClient(base_url=api, timeout=120) as http:
        session = Session(http, environment, environment.get("PARLEY_TOKEN"))
        with Progress(*columns, console=console) as progress:
            summary = await ingest(
                options.folder, session, metadata=options.metadata, wait=not options.no_wait, progress=progress
            )
    for source, reason in summary.problems:
        console.print(f"{source}: {reason}", style="red", markup=False, highlight=False)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(summary.counts.items()))
    console.print(counts or "no files to read", markup=False, highlight=False)
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
        console.print(str(error), style="red", markup=False)
        return 2


if __name__ == "__main__":
    sys.exit(main())

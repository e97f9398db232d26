"""`python scripts/smoke.py URL`: proves a deployment of Parley with a real turn, read over SSE and over Realtime.

It signs a user in, sends a message, reads the reply on both surfaces, compares both with what is stored, and deletes
what it has made. It needs the packages of requirements.lock, and nothing else of this repository.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from realtime import AsyncRealtimeClient, RealtimeSubscribeStates

QUESTION = "Write the numbers from one to twenty as English words, separated by commas, and nothing else."
CALL_SECONDS = 20.0
"""Of every call but a reply."""
DELIVERY_SECONDS = 10.0
"""How long after the end over SSE the end may take over Realtime."""
RECONNECTS = 5
BUFFERED_SECONDS = 1.0
"""When the first event comes over SSE so much later than over Realtime, and the whole reply with it, it was held up."""
EVENTS = (
    "message.started",
    "message.delta",
    "message.completed",
    "message.stopped",
    "message.failed",
    "message.interrupted",
)
ENDS = EVENTS[2:]
EPILOG = """The user is that of PARLEY_TOKEN (an access token), or of PARLEY_EMAIL and PARLEY_PASSWORD, or else of
DEMO_EMAIL and DEMO_PASSWORD, which `. .parley/env` sets beside `make run`. If premium is required, the user needs a
plan. SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY say where to sign in and where Realtime is; they may be left out where
the web client is served. Conversations that are made are deleted again; what the replies cost stays in the user's
ledger. The exit code is 0 when every step passed, 1 when one failed, 2 when an argument or a variable is wrong."""


class StepFailed(Exception):
    """A step did not pass. The message is one sentence, with what to do where that is known."""


class WrongUse(Exception):
    """An argument or a variable is missing or wrong."""


@dataclass
class Reply:
    """What was read of a reply over SSE. Times are those of `time.monotonic`."""

    sent_at: float
    first_at: float = 0.0
    first_text_at: float = 0.0
    ended_at: float = 0.0
    started: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    last_id: str = ""
    reconnects: int = 0

    @property
    def who(self) -> str:
        return f"{self.started.get('provider')}/{self.started.get('model')}"


@dataclass
class Heard:
    """What came over Realtime: each event with its payload and time."""

    events: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: str, payload: dict[str, Any]) -> None:
        self.events.append((event, payload, time.monotonic()))
        self.news.set()

    def of(self, message_id: str) -> list[tuple[str, dict[str, Any], float]]:
        return [one for one in self.events if one[1].get("message_id") == message_id]

    async def end_of(self, message_id: str) -> None:
        """Wait until the reply has ended here."""
        while not any(event in ENDS for event, _, _ in self.of(message_id)):
            self.news.clear()
            await self.news.wait()


class Smoke:
    """One run: the steps in their order, the user, and what has to be deleted."""

    def __init__(self, options: argparse.Namespace, environ: Mapping[str, str], http: httpx.AsyncClient) -> None:
        self.options = options
        self.environ = environ
        self.http = http
        self.failures = 0
        self.supabase = environ.get("SUPABASE_URL", "").rstrip("/")
        self.key = environ.get("SUPABASE_PUBLISHABLE_KEY") or environ.get("SUPABASE_ANON_KEY", "")
        self.token = environ.get("PARLEY_TOKEN", "")
        self.signed_in = False
        self.made: list[str] = []

    async def step(self, name: str, work: Awaitable[str]) -> bool:
        """Do one step, and print how it went."""
        started = time.monotonic()
        try:
            said, passed = await work, True
        except StepFailed as failure:
            said, passed = str(failure), False
        except (httpx.TransportError, TimeoutError) as error:
            said, passed = f"no answer ({type(error).__name__})", False
        except (KeyError, TypeError, ValueError) as error:
            said, passed = f"an answer that Parley does not give ({type(error).__name__})", False
        took = round(1000 * (time.monotonic() - started))
        self.failures += not passed
        print(f"{'ok' if passed else 'FAILED':<8} {name:<12} {said} ({took} ms)", flush=True)
        return passed

    async def run(self) -> int:
        """All steps. A step that others need ends the run; whatever happens, what was made is deleted."""
        try:
            if not await self.step("live", self.live()):
                return self.failures
            await self.step("ready", self.ready())
            if await self.step("sign in", self.sign_in()):
                await self.step("models", self.models())
                await self.turns()
        finally:
            if self.made or self.signed_in:
                await self.step("clean up", self.clean_up())
        return self.failures

    async def turns(self) -> None:
        if await self.step("conversation", self.new_conversation()):
            conversation, heard = self.made[-1], Heard()
            async with self.listening(conversation, heard) as join:
                joined = await self.step("realtime", join())
                for provider in self.options.provider or [None]:
                    await self.turn(conversation, provider, heard if joined else None)
        if self.options.chat:
            await self.step("chat", self.chat())
        if self.options.completions:
            await self.step("completions", self.completions())

    async def turn(self, conversation: str, provider: str | None, heard: Heard | None) -> None:
        """A turn, read on all surfaces."""
        reply = Reply(time.monotonic())
        if await self.step("sse", self.send(conversation, provider, reply)):
            await self.step("stored", self.stored(reply))
            await self.step("resumed", self.resumed(reply))
            if heard is not None:
                await self.step("delivered", self.delivered(reply, heard))

    # ── the steps ────────────────────────────────────────────────────────────────────────────────────────────────

    async def live(self) -> str:
        answer = await self.http.get("/health/live")
        if answer.status_code != 200 or _json(answer) != {"status": "ok"}:
            raise StepFailed(f"this is not the address of Parley: /health/live is answered with {answer.status_code}")
        return "the process answers"

    async def ready(self) -> str:
        answer = await self.http.get("/health/ready")
        if answer.status_code != 200:
            raise StepFailed(_problem(answer))
        return "Supabase answers and accepts the keys; the jobs run"

    async def sign_in(self) -> str:
        if not (self.supabase and self.key):
            config = _json(await self.http.get("/config.json"))
            self.supabase = self.supabase or str(config.get("supabase_url", "")).rstrip("/")
            self.key = self.key or str(config.get("supabase_publishable_key", ""))
        if not (self.supabase and self.key):
            raise WrongUse("set SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY: this installation serves no /config.json")
        if not self.token:
            await self._sign_in()
        answer = await self.http.get("/v1/usage", headers=self._user())
        if answer.status_code == 401:
            raise StepFailed(f"the API does not accept the access token: {_problem(answer)}")
        _require(answer, 200)
        return "the API accepts the user's access token"

    async def _sign_in(self) -> None:
        email, password = _credentials(self.environ)
        answer = await self.http.post(
            f"{self.supabase}/auth/v1/token",
            params={"grant_type": "password"},
            headers={"apikey": self.key},
            json={"email": email, "password": password},
        )
        token = _json(answer).get("access_token")
        if answer.status_code != 200 or not isinstance(token, str):
            said = _json(answer).get("msg") or _json(answer).get("message") or "no access token"
            raise StepFailed(f"Auth does not sign {email} in: {answer.status_code}, {said}")
        self.token, self.signed_in = token, True

    async def models(self) -> str:
        answer = await self.http.get("/v1/models", headers=self._user())
        found = _require(answer, 200)
        available = {item["provider"] for item in found["items"] if item["available"]}
        if not available:
            raise StepFailed("no model is available: see the log for providers that refuse their key")
        return f"available: {', '.join(sorted(available))}"

    async def new_conversation(self) -> str:
        answer = await self.http.post("/v1/conversations", headers=self._user(), json={"title": "Smoke test"})
        self.made.append(_require(answer, 201)["id"])
        return "a conversation is made"

    @asynccontextmanager
    async def listening(self, conversation: str, heard: Heard) -> AsyncGenerator[Callable[[], Awaitable[str]]]:
        """The official client, on the conversation's topic; gives the step that joins it."""
        client = AsyncRealtimeClient(f"{self.supabase}/realtime/v1", self.key, max_retries=1)

        async def join() -> str:
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await client.set_auth(self.token)
                    status, error = await _joined(client, f"conversation:{conversation}", heard)
            except TimeoutError:
                raise StepFailed(f"Realtime does not answer within {CALL_SECONDS:g} s") from None
            except Exception as error:  # the client raises what its libraries do
                raise StepFailed(f"Realtime cannot be reached ({type(error).__name__})") from error
            if status != RealtimeSubscribeStates.SUBSCRIBED:
                raise StepFailed(f"Realtime does not let the owner join the conversation's topic: {error or status}")
            return "the owner has joined the conversation's topic"

        try:
            yield join
        finally:
            with suppress(Exception):  # it may never have been connected
                await client.close()

    async def send(self, conversation: str, provider: str | None, reply: Reply) -> str:
        """Send the message, and read the reply to its end; where the server says so, on another replica."""
        body = {"content": QUESTION, "use_rag": False} | ({"provider": provider} if provider else {})
        path, method = f"/v1/conversations/{conversation}/messages", "POST"
        headers = {**self._user(), "Accept": "text/event-stream"}
        async with asyncio.timeout(self.options.timeout):
            while True:
                async with self.http.stream(
                    method, path, headers=headers, json=body if method == "POST" else None, timeout=self.options.timeout
                ) as answer:
                    if answer.status_code != 200:
                        await answer.aread()
                        raise StepFailed(_problem(answer))
                    ended = await _read(answer, reply)
                if ended:
                    break
                reply.reconnects += 1
                if not reply.started or reply.reconnects > RECONNECTS:
                    raise StepFailed("the stream ended before the reply did: something in front cuts connections")
                method, path = "GET", f"/v1/messages/{reply.started['message_id']}/stream"
                headers["Last-Event-ID"] = reply.last_id
        name, data = ended
        if name != "done" or data.get("status") != "complete":
            problem = data.get("problem") or {}
            raise StepFailed(f"the reply ended with {name}: {problem.get('detail') or problem.get('title') or data}")
        if not reply.text.strip():
            raise StepFailed("the reply is empty")
        if provider and reply.started.get("provider") != provider:
            raise StepFailed(
                f"{provider} did not answer, {reply.who} did: see GET /v1/models and the log for {provider}"
            )
        first = round(1000 * (reply.first_text_at - reply.sent_at))
        more = f", read in {reply.reconnects + 1} parts" if reply.reconnects else ""
        return f"{reply.who} replied with {len(reply.text)} characters, the first after {first} ms{more}"

    async def stored(self, reply: Reply) -> str:
        answer = await self.http.get(f"/v1/messages/{reply.started['message_id']}", headers=self._user())
        message = _require(answer, 200)
        if (message["status"], message["content"]) != ("complete", reply.text):
            raise StepFailed(f"what is stored is not what was streamed (status {message['status']})")
        return "what is stored is what was streamed"

    async def resumed(self, reply: Reply) -> str:
        """The whole reply, from the beginning, as another device reads it."""
        again = Reply(time.monotonic())
        path = f"/v1/messages/{reply.started['message_id']}/stream"
        async with self.http.stream("GET", path, headers=self._user()) as answer:
            if answer.status_code != 200:
                await answer.aread()
                raise StepFailed(_problem(answer))
            ended = await _read(answer, again)
        if not ended or again.text != reply.text:
            raise StepFailed("the reply, read again from its beginning, is another one")
        return "the reply can be read again from its beginning"

    async def delivered(self, reply: Reply, heard: Heard) -> str:
        message_id = reply.started["message_id"]
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await heard.end_of(message_id)
        except TimeoutError:
            names = ", ".join(event for event, _, _ in heard.of(message_id))
            what = f"only {names}" if names else "nothing"
            raise StepFailed(
                f"Realtime delivered {what} within {DELIVERY_SECONDS:g} s: see the project's Realtime logs and limits"
            ) from None
        events = heard.of(message_id)
        pieces = [payload["text"] for event, payload, _ in events if event == "message.delta"]
        if None not in pieces and "".join(pieces) != reply.text:
            raise StepFailed("what Realtime delivered is not what was streamed: pieces are missing")
        started_at = next((at for event, _, at in events if event == "message.started"), reply.first_at)
        held_up, whole = reply.first_at - started_at, reply.ended_at - reply.sent_at
        if held_up > BUFFERED_SECONDS and reply.ended_at - reply.first_at < whole / 10:
            raise StepFailed(
                f"SSE is held up: its first event came {held_up:.1f} s after Realtime's, with the whole reply; "
                "a proxy in front of the API buffers, see docs/deploy.md"
            )
        return f"Realtime delivered the same text in {len(pieces)} pieces"

    async def chat(self) -> str:
        """A turn by the AI SDK's protocol."""
        chat_id, text, ends = str(uuid.uuid4()), "", 0
        message = {"id": str(uuid.uuid4()), "role": "user", "parts": [{"type": "text", "text": QUESTION}]}
        body = {"id": chat_id, "messages": [message], "trigger": "submit-message"}
        async with asyncio.timeout(self.options.timeout):
            async with self.http.stream(
                "POST", "/v1/chat", headers=self._user(), json=body, timeout=self.options.timeout
            ) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise StepFailed(_problem(answer))
                made = await self.http.get(answer.headers["Location"], headers=self._user())
                self.made.append(_require(made, 200)["conversation_id"])
                async for _, _, data in _frames(answer):
                    chunk = json.loads(data) if data != "[DONE]" else {"type": "[DONE]"}
                    if chunk["type"] == "error":
                        raise StepFailed(f"the reply ended with an error: {chunk.get('errorText')}")
                    text += chunk.get("delta", "") if chunk["type"] == "text-delta" else ""
                    ends += chunk["type"] in ("finish", "[DONE]")
        if ends != 2 or not text.strip():
            raise StepFailed("the UI message stream ended before its end")
        return f"/v1/chat replied with {len(text)} characters"

    async def completions(self) -> str:
        """A completion by OpenAI's protocol."""
        body = {"model": "auto", "messages": [{"role": "user", "content": QUESTION}]}
        answer = await self.http.post(
            "/openai/v1/chat/completions", headers=self._user(), json=body, timeout=self.options.timeout
        )
        if answer.status_code != 200:
            error = _json(answer).get("error")
            said = error.get("message") if isinstance(error, dict) else None
            raise StepFailed(f"{answer.status_code}, {said or 'not an answer of Parley'}")
        choice = _json(answer)["choices"][0]
        if not (choice["message"]["content"] or "").strip():
            raise StepFailed(f"the completion is empty (finish_reason {choice['finish_reason']})")
        return f"/openai/v1 replied with {len(choice['message']['content'])} characters"

    async def clean_up(self) -> str:
        """Delete what was made, and end the session that was opened."""
        left: list[str] = []
        for conversation in self.made:
            answer = await self.http.delete(f"/v1/conversations/{conversation}", headers=self._user())
            if answer.status_code != 204:
                left.append(conversation)
        if self.signed_in:
            await self.http.post(
                f"{self.supabase}/auth/v1/logout",
                params={"scope": "local"},
                headers={"apikey": self.key, **self._user()},
            )
        if left:
            raise StepFailed(f"delete these conversations yourself: {', '.join(left)}")
        return f"{len(self.made)} {'conversation is' if len(self.made) == 1 else 'conversations are'} deleted"

    def _user(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def _credentials(environ: Mapping[str, str]) -> tuple[str, str]:
    """The e-mail address and the password to sign in with, both of one pair. Raises `WrongUse` for half a pair."""
    for pair in (("PARLEY_EMAIL", "PARLEY_PASSWORD"), ("DEMO_EMAIL", "DEMO_PASSWORD")):
        email, password = (environ.get(name, "") for name in pair)
        if email and password:
            return email, password
        if email or password:
            given, missing = pair[:: 1 if email else -1]
            raise WrongUse(f"{given} is set, but {missing} is not: set both, of a user for this test")
    raise WrongUse("set PARLEY_TOKEN, or PARLEY_EMAIL and PARLEY_PASSWORD, of a user for this test")


async def _joined(client: AsyncRealtimeClient, topic: str, heard: Heard) -> tuple[RealtimeSubscribeStates, str]:
    """Join a private topic, whose events go to `heard`. The first status, and its error."""
    first: asyncio.Future[tuple[RealtimeSubscribeStates, str]] = asyncio.get_running_loop().create_future()

    def told(status: RealtimeSubscribeStates, error: Exception | None) -> None:
        if not first.done():
            first.set_result((status, str(error or "")))

    config: Any = {"config": {"broadcast": None, "presence": None, "private": True}}
    channel = client.channel(topic, config)
    for event in EVENTS:
        channel.on_broadcast(event, lambda message: heard.take(message["event"], message["payload"]))
    await channel.subscribe(told)
    return await first


async def _read(answer: httpx.Response, reply: Reply) -> tuple[str, dict[str, Any]] | None:
    """Read a reply's events into `reply`. Its end, or None when the server or somebody between ended the stream."""
    async for event_id, name, text in _frames(answer):
        data = json.loads(text)
        now = time.monotonic()
        reply.first_at = reply.first_at or now
        reply.last_id = event_id or reply.last_id
        match name:
            case "message.started":
                reply.started |= data
            case "restart":
                reply.started |= {"provider": data["provider"], "model": data["model"]}
                reply.text = ""
            case "delta":
                reply.first_text_at = reply.first_text_at or now
                reply.text += data["text"]
            case "done" | "stopped" | "error":
                reply.ended_at = now
                return name, data
            case "reconnect":
                return None
    return None


async def _frames(answer: httpx.Response) -> AsyncGenerator[tuple[str, str, str]]:
    """The id, name and data of each event."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield fields.get("id", ""), fields.get("event", ""), fields["data"]
            fields = {}


def _json(answer: httpx.Response) -> dict[str, Any]:
    """The object that the answer is; empty when it is none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _require(answer: httpx.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise StepFailed(_problem(answer))
    return _json(answer)


def _problem(answer: httpx.Response) -> str:
    """What the answer says is wrong, with what to do about it."""
    found = _json(answer)
    if answer.is_redirect:
        return f"{answer.status_code}: it redirects to {answer.headers.get('Location')}; give that address"
    if "code" not in found:
        return f"{answer.status_code}, which is not an answer of Parley: something in front of it answers"
    said = str(found.get("detail") or found.get("title")).removesuffix(".")
    todo = "; give the user a plan: python -m app.admin grant EMAIL --plan premium"
    return f"{answer.status_code} {found['code']}: {said}{todo if found['code'] == 'premium_required' else ''}"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        "smoke.py", description="Prove a deployment of Parley with a real turn, over SSE and Realtime.", epilog=EPILOG
    )
    whole.add_argument("url", metavar="URL", type=_address, help="where the API is, such as https://chat.example.com")
    whole.add_argument(
        "--provider", action="append", metavar="NAME", help="a provider that has to answer; repeat it for several"
    )
    whole.add_argument("--chat", action="store_true", help="also a turn by the AI SDK's protocol, /v1/chat")
    whole.add_argument("--completions", action="store_true", help="also a completion by OpenAI's protocol, /openai/v1")
    whole.add_argument(
        "--timeout", type=_seconds, default=120.0, metavar="SECONDS", help="of each reply, 1 to 3600 (default: 120)"
    )
    return whole


def _address(text: str) -> str:
    url = httpx.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise argparse.ArgumentTypeError(f"{text!r} is not an http:// or https:// address")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return seconds


async def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """All steps, as the user of `environ`. Returns how many failed; raises `WrongUse`."""
    async with httpx.AsyncClient(base_url=options.url, timeout=CALL_SECONDS) as http:
        return await Smoke(options, environ, http).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all steps. Returns the exit code."""
    options = parser().parse_args(arguments)
    # the Realtime client logs its failures; the steps say what there is to say
    logging.disable(logging.CRITICAL)
    # an end that is asked for deletes what was made, too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failures = asyncio.run(run(options, os.environ))
    except WrongUse as error:
        print(f"smoke.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped")
        return 130
    print("the deployment works" if not failures else f"{failures} FAILED")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

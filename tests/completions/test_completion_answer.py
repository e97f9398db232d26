"""The answer to a completion in virtual time: when it begins, what a silence is filled with, who is cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from app.api.completions.answer import BEGIN_SECONDS, CompletionAnswer
from app.chat.completions import RENEW_SECONDS, Completions
from app.chat.journal import Journal
from app.chat.live import HEARTBEAT_SECONDS, MAX_REPLY_CHARACTERS, WATCH_SECONDS, Followers
from app.chat.offering import Offering
from app.chat.writer import Tools
from app.errors import ContextTooLong, InvalidRequest, ParameterRefused, ServerError, SupabaseUnavailable
from app.guard.moderation import Moderation
from app.providers.base import Verdict
from app.routing.catalog import Catalog
from app.routing.router import Candidate, ModelPreference
from app.settings import Settings
from app.store.completions import BegunCompletion, FinishedCompletion, Renewed
from app.store.messages import AllowedModel
from app.values import (
    ChatRequest,
    Finish,
    JsonSchema,
    Message,
    Reasoning,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    User,
)
from tests.support.scripted_database import Database
from tests.support.scripted_providers import OPENED, Play, Scripted, Stage, clock, failure, virtually

USER = User("owner", "", 0)
OTHER = AllowedModel(provider="gemini", model="gemini-model", input=0, output=0)
MODEL = AllowedModel(provider="openai", model="openai-model", input=1_000_000, output=2_000_000)


@dataclass
class Store:
    """Remembers what is renewed and charged."""

    renewed: list[Sequence[Renewed]] = field(default_factory=list)
    finished: list[FinishedCompletion] = field(default_factory=list)
    down: bool = False
    calls: int = 0
    """How many calls have charged something."""
    refused: set[str] = field(default_factory=set)
    """The completions that the database does not take."""

    async def begin(self, *_: object, **__: object) -> BegunCompletion:
        return BegunCompletion((MODEL, OTHER), 1000)

    async def renew(self, spent: Sequence[Renewed]) -> None:
        if self.down:
            raise SupabaseUnavailable
        self.renewed.append(spent)

    async def finish(self, finished: Sequence[FinishedCompletion]) -> None:
        await asyncio.sleep(0.05)
        if self.down:
            raise SupabaseUnavailable
        if any(one.id in self.refused for one in finished):
            raise InvalidRequest
        self.calls += 1
        self.finished += finished

    async def models(self, *_: object) -> list[AllowedModel]:
        return [MODEL]


@dataclass
class Offered:
    models: tuple[Candidate, ...]

    async def candidates(self, _: ModelPreference) -> tuple[Candidate, ...]:
        return self.models

    async def all(self) -> Any: ...


class Judge:
    """A moderator that flags texts with a word in them, after a second."""

    def __init__(self) -> None:
        self.judged: list[str] = []

    async def check(self, text: str) -> Verdict:
        self.judged.append(text)
        await asyncio.sleep(1)
        return Verdict("bad" in text, ("violence",) if "bad" in text else ())

    async def aclose(self) -> None: ...


@dataclass
class Connection:
    """The client's side: what was sent to it, and when, by ASGI and by the line."""

    answer: CompletionAnswer
    sent: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    paused: bool = False
    aborted: bool = False
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _lost: Callable[[], None] = lambda: None

    async def run(self) -> None:
        scope: Any = {"method": "POST", "path": "/openai/v1/chat/completions", "parley.line": self}
        await self.answer._respond(scope, self._receive, self._send)  # type: ignore[arg-type]

    def leave(self) -> None:
        self._gone.set()
        self._lost()

    # ── the line ──

    def hold(self) -> None: ...

    def flush(self) -> None: ...

    def open(self, _: Callable[[], None], gone: Callable[[], None]) -> None:
        self._lost = gone

    def close(self) -> None: ...

    def write(self, frame: bytes) -> None:
        self.sent.append((clock(), {"body": frame, "more_body": True}))

    def abort(self) -> None:
        self.aborted = True

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append((clock(), message))

    @property
    def status(self) -> int:
        return int(self.sent[0][1]["status"])

    @property
    def began(self) -> float:
        return self.sent[0][0]

    @property
    def bodies(self) -> list[tuple[float, Any]]:
        frames = [(at, message["body"].decode()) for at, message in self.sent[1:] if message["body"]]
        return [
            (at, one if one == "[DONE]" else json.loads(one))
            for at, body in frames
            for one in body.replace("data: ", "").strip().split("\n\n")
        ]

    @property
    def text(self) -> str:
        return "".join(
            said["choices"][0]["delta"].get("content", "")
            for _, said in self.bodies
            if isinstance(said, dict) and said.get("choices")
        )


@dataclass
class Process:
    completions: Completions
    followers: Followers
    store: Store
    provider: Scripted
    judge: Judge

    async def ask(self, *, stream: bool = True, model: str = "auto", text: str = "Hello", **more: Any) -> Connection:
        asked = ChatRequest(model, (Message("assistant", "before"), Message("user", text)), **more)
        completion = await self.completions.begin(USER, asked)
        return Connection(CompletionAnswer(self.followers, completion, stream=stream, usage=False))

    async def answered(self, **how: Any) -> Connection:
        connection = await self.ask(**how)
        await connection.run()
        return connection


@asynccontextmanager
async def process(*plays: Play, moderated: bool = False, others: Sequence[Scripted] = ()) -> AsyncGenerator[Process]:
    """`others` are asked when the first provider fails."""
    provider, store, followers, judge = Scripted("openai", *plays), Store(), Followers(), Judge()
    catalog = Catalog(Settings(supabase_url="", supabase_publishable_key="", supabase_secret_key=""))
    stage = Stage(provider, *others)
    tools = Tools(
        stage.failover,
        Moderation(judge if moderated else None, fail="closed", output=moderated),
        Journal(Database()),
        catalog,
    )
    completions = Completions(store, Offered(stage.candidates), Offering(catalog), followers, tools)
    jobs = [asyncio.create_task(job) for job in (completions.renew(), followers.watch())]
    try:
        yield Process(completions, followers, store, provider, judge)
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


WORDS: Play = (*("word ", 0.5) * 20, Finish("stop", Usage(3, 20)))


def test_stream_begins_with_the_first_token() -> None:
    async def main() -> None:
        async with process((3.0, *WORDS)) as running:
            began = clock()
            connection = await running.answered()
            assert connection.began - began == pytest.approx(3, abs=0.1)
            assert connection.text == "word " * 20
            assert connection.bodies[-1][1] == "[DONE]"

    virtually(main)


def test_failure_before_the_first_token_is_answered_with_its_status() -> None:
    async def main() -> None:
        async with process(*[(1.0, failure(ServerError))] * 5) as running:
            connection = await running.answered()
            assert connection.status == 503
            assert connection.bodies[-1][1]["error"]["code"] == "provider_unavailable"
            assert connection.sent[1][1]["more_body"] is False

    virtually(main)


def test_silence_is_filled_with_chunks_that_say_nothing() -> None:
    """No comments: not all clients know them."""

    async def main() -> None:
        async with process((OPENED, 35.0, "word", 14.0, Finish("stop", None))) as running:
            began = clock()
            connection = await running.answered()
            assert connection.began - began == pytest.approx(BEGIN_SECONDS, abs=0.1)
            times = [at for at, _ in connection.bodies]
            assert max(b - a for a, b in pairwise(times)) <= HEARTBEAT_SECONDS + WATCH_SECONDS + 1
            silent = [said for _, said in connection.bodies if said != "[DONE]" and not said["choices"][0]["delta"]]
            assert len(silent) == 3  # and the last chunk
            assert all(said["choices"][0]["finish_reason"] is None for said in silent[:-1])
            assert connection.text == "word"

    virtually(main)


def test_late_failure_is_an_error_in_the_stream() -> None:
    async def main() -> None:
        async with process(*[(15.0, failure(ServerError))] * 5) as running:
            connection = await running.answered()
            assert connection.status == 200
            [(_, error), (_, done)] = connection.bodies[-2:]
            assert (error["error"]["code"], done) == ("provider_unavailable", "[DONE]")

    virtually(main)


def test_reader_that_goes_ends_the_providers_work() -> None:
    async def main() -> None:
        async with process(WORDS) as running:
            connection = await running.ask()
            reading = asyncio.create_task(connection.run())
            await asyncio.sleep(2.2)
            connection.leave()
            await reading
            await asyncio.sleep(0.1)
            assert running.provider.streaming == len(running.completions) == len(running.followers) == 0
            [finished] = running.store.finished
            assert [call.completion_tokens for call in finished.calls] == [7]  # of 25 bytes

    virtually(main)


def test_reader_that_takes_nothing_is_cut() -> None:
    async def main() -> None:
        async with process((*("word ", 0.5) * 200, Finish("stop", None))) as running:
            connection = await running.ask()
            connection.paused = True
            await connection.run()
            assert connection.aborted
            await asyncio.sleep(0.1)
            assert running.provider.streaming == len(running.completions) == 0
            assert len(running.store.finished) == 1

    virtually(main)


def test_what_is_held_is_renewed_with_the_calls_so_far() -> None:
    async def main() -> None:
        async with process(WORDS) as running:
            await running.answered()
            counts = [renewed.calls[0].completion_tokens for (renewed,) in running.store.renewed if renewed.calls]
            assert counts == sorted(counts)
            assert len(counts) == pytest.approx(10 / RENEW_SECONDS, abs=1)
            assert counts[-1] > 20

    virtually(main)


def test_end_does_not_wait_for_a_database_that_fails_and_is_charged_later() -> None:
    async def main() -> None:
        async with process(WORDS) as running:
            running.store.down = True
            connection = await running.answered()
            assert connection.bodies[-1][1] == "[DONE]"
            assert running.store.finished == []
            await asyncio.sleep(20)
            running.store.down = False
            await asyncio.sleep(10)
            assert len(running.store.finished) == 1

    virtually(main)


def test_charges_of_many_share_calls() -> None:
    async def main() -> None:
        async with process() as running:
            await asyncio.gather(*(running.answered() for _ in range(40)))
            assert len(running.store.finished) == 40
            assert running.store.calls <= 4

    virtually(main)


def test_charge_that_the_database_refuses_takes_no_other_one_with_it() -> None:
    async def main() -> None:
        async with process() as running:
            connections = [await running.ask() for _ in range(5)]
            refused = connections[2].answer._completion.reply.id
            running.store.refused = {refused}
            await asyncio.gather(*(connection.run() for connection in connections))
            assert {one.id for one in running.store.finished} == {
                connection.answer._completion.reply.id for connection in connections
            } - {refused}

    virtually(main)


def test_long_outage_of_the_database_ends_what_is_written() -> None:
    async def main() -> None:
        async with process((*("word ", 0.5) * 400, Finish("stop", None))) as running:
            running.store.down = True
            connection = await running.answered()
            assert connection.bodies[-2][1]["error"]["code"] == "supabase_unavailable"
            assert len(running.completions) == 0

    virtually(main)


def test_another_model_answers_before_the_first_token_and_is_named() -> None:
    async def main() -> None:
        other = Scripted("gemini", ("yes", Finish("stop", Usage(3, 1))))
        async with process(*[(failure(ServerError, status=503),)] * 3, others=[other]) as running:
            connection = await running.answered()
            assert connection.text == "yes"
            assert {said["model"] for _, said in connection.bodies if said != "[DONE]"} == {"gemini-model"}
            # the failed calls were answered with an error, which nobody charges
            [finished] = running.store.finished
            assert [(call.provider, call.prompt_tokens) for call in finished.calls] == [("gemini", 3)]

    virtually(main)


def test_no_other_model_answers_after_the_first_token() -> None:
    async def main() -> None:
        other = Scripted("gemini")
        async with process(("half", failure(ServerError)), others=[other]) as running:
            connection = await running.answered()
            assert connection.text == "half"
            assert connection.bodies[-2][1]["error"]["code"] == "provider_unavailable"
            assert other.requests == []

    virtually(main)


def test_reasoning_of_a_call_that_failed_is_kept_and_the_next_model_is_named() -> None:
    async def main() -> None:
        play: Play = (Reasoning("hm"), failure(ServerError))
        async with process(play, ("yes", Finish("stop", None))) as running:
            connection = await running.answered()
            thought = "".join(
                said["choices"][0]["delta"].get("reasoning", "")
                for _, said in connection.bodies
                if isinstance(said, dict)
            )
            assert (thought, connection.text) == ("hm\n\n", "yes")

    virtually(main)


@pytest.mark.parametrize("stream", [False, True])
def test_flagged_message_is_refused_before_anything_is_sent(stream: bool) -> None:
    async def main() -> None:
        async with process(WORDS, moderated=True) as running:
            connection = await running.answered(text="something bad", stream=stream)
            assert connection.status == 400
            assert connection.bodies[-1][1]["error"]["code"] == "content_policy_violation"
            assert sorted(running.judge.judged) == ["before", "something bad"]
            assert running.provider.streaming == 0
            [finished] = running.store.finished
            assert (finished.flagged, finished.flagged_part) == (("violence",), "input")

    virtually(main)


def test_clean_message_is_held_until_its_verdict_and_no_longer() -> None:
    async def main() -> None:
        async with process(WORDS, moderated=True) as running:
            began = clock()
            connection = await running.answered()
            assert connection.began - began == pytest.approx(1, abs=0.1)
            assert connection.text == "word " * 20

    virtually(main)


@pytest.mark.parametrize(("stream", "status"), [(False, 400), (True, 200)])
def test_flagged_reply_ends_in_an_error(stream: bool, status: int) -> None:
    async def main() -> None:
        async with process(("a bad word", Finish("stop", None)), moderated=True) as running:
            connection = await running.answered(stream=stream)
            assert connection.status == status
            error = next(said for _, said in connection.bodies if "error" in said)
            assert error["error"]["code"] == "content_policy_violation"
            assert not any(
                said != "[DONE]" and "choices" in said and said["choices"][0]["finish_reason"]
                for _, said in connection.bodies
            )
            assert running.store.finished[0].flagged_part == "output"

    virtually(main)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": (Tool("lookup", "Tell how to do something bad."),)},
        {"tools": (Tool("lookup", None, {"properties": {"a": {"description": "bad"}}}),)},
        {"response_format": JsonSchema("reply", {"properties": {"bad": {}}})},
    ],
)
def test_tools_and_schemas_are_moderated_as_the_rest_of_the_prompt(more: dict[str, Any]) -> None:
    async def main() -> None:
        async with process(WORDS, moderated=True) as running:
            connection = await running.answered(**more)
            assert connection.status == 400
            assert connection.bodies[-1][1]["error"]["code"] == "content_policy_violation"
            assert len(running.judge.judged) == 2

    virtually(main)


def test_names_of_called_tools_are_moderated() -> None:
    async def main() -> None:
        async with process(WORDS, moderated=True) as running:
            calls = (ToolCall("a", "something bad", "{}"),)
            asked = ChatRequest("auto", (Message("assistant", "", calls), Message("tool", "x", tool_call_id="a")))
            completion = await running.completions.begin(USER, asked)
            connection = Connection(CompletionAnswer(running.followers, completion, stream=False, usage=False))
            await connection.run()
            assert connection.status == 400

    virtually(main)


@pytest.mark.parametrize(("stream", "status"), [(False, 400), (True, 200)])
def test_flagged_arguments_of_a_call_end_in_an_error(stream: bool, status: int) -> None:
    async def main() -> None:
        play: Play = (ToolCallDelta(0, "a", "post", '{"text": "a ba'), ToolCallDelta(0, None, None, 'd word"}'),
                      Finish("tool_calls", None))  # fmt: skip
        async with process(play, moderated=True) as running:
            connection = await running.answered(stream=stream, tools=(Tool("post"),))
            assert connection.status == status
            error = next(said for _, said in connection.bodies if "error" in said)
            assert error["error"]["code"] == "content_policy_violation"
            assert not any('"tool_calls"' in json.dumps(said) for _, said in connection.bodies[-2:])
            assert running.store.finished[0].flagged_part == "output"

    virtually(main)


def test_endless_arguments_of_a_call_end_as_too_long() -> None:
    async def main() -> None:
        piece = "x" * (MAX_REPLY_CHARACTERS // 4)
        play: Play = (ToolCallDelta(0, "a", "post", '{"text": "'), *(ToolCallDelta(0, None, None, piece),) * 20,
                      Finish("tool_calls", None))  # fmt: skip
        async with process(play) as running:
            connection = await running.answered(stream=False, tools=(Tool("post"),))
            [choice] = connection.bodies[0][1]["choices"]
            assert choice["finish_reason"] == "length"
            [call] = choice["message"]["tool_calls"]
            assert len(call["function"]["arguments"]) <= MAX_REPLY_CHARACTERS + len(piece)
            assert running.provider.streaming == 0

    virtually(main)


def test_model_that_was_asked_for_and_cannot_is_not_asked_again() -> None:
    async def main() -> None:
        refusal = failure(ParameterRefused, model="openai-model")
        refusal.parameter = "tools"  # type: ignore[attr-defined]
        async with process(*[(refusal,)] * 3) as running:
            connection = await running.answered(model="openai")
            assert connection.status == 400
            assert connection.bodies[-1][1]["error"]["param"] == "tools"
            assert len(running.provider.requests) == 1

    virtually(main)


def test_shorter_reply_is_tried_where_the_prompt_fits() -> None:
    async def main() -> None:
        refusal = failure(ContextTooLong, model="openai-model")
        refusal.limit = 600  # type: ignore[attr-defined]
        async with process((refusal,), ("short", Finish("stop", None))) as running:
            connection = await running.answered(model="openai")
            assert connection.text == "short"
            first, second = (request.max_tokens for request in running.provider.requests)
            assert first == 1000
            assert second is not None
            assert second < 600

    virtually(main)

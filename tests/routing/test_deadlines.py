"""How long a provider may take, and what happens to a turn that somebody cancels at the same time."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from app.errors import FirstSignTimeout, ProviderUnavailable, ReplyTimeout, ServerError, Stalled
from app.providers.base import Provider
from app.providers.deferred import DeferredProvider
from app.providers.description import HOSTED, LOCAL, Patience
from app.providers.registry import PROVIDERS
from app.routing.breaker import Breakers
from app.routing.deadlines import Deadlines
from app.routing.failover import Answering, Failover
from app.routing.router import Candidate
from app.settings import Settings
from app.values import ChatRequest, Delta, ProviderName, Reasoning
from tests.support.scripted_providers import (
    ALIVE,
    ANSWER,
    DONE,
    HANG,
    OPENED,
    Play,
    Scripted,
    Stage,
    clock,
    failure,
    virtually,
)


def test_a_silent_provider_is_given_up_at_the_deadline_of_the_first_sign() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [HANG]), Scripted("claude"))
        began = clock()
        events = await stage.collect()
        assert clock() - began == pytest.approx(20.0)
        assert isinstance(events[1], Answering)
        assert events[1].reason == "first_sign_timeout"
        # a candidate that took all its time gets no second call
        assert len(stage.providers["openai"].calls) == 1
        assert stage.providers["openai"].streaming == 0

    virtually(main)


def test_a_first_sign_just_in_time() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [19.99, *ANSWER]))
        assert await stage.text() == ("openai", "Hello")

    virtually(main)


def test_every_attempt_has_the_deadlines_to_itself() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [4.0, failure(ServerError)], [19.0, *ANSWER]), Scripted("claude"))
        assert await stage.text() == ("openai", "Hello")

    virtually(main)


async def test_the_import_of_an_sdk_is_not_part_of_the_first_deadline() -> None:
    provider = Scripted("openai")

    def imported() -> Scripted:
        time.sleep(1)
        return provider

    providers: dict[ProviderName, Provider] = {"openai": DeferredProvider("openai", imported)}
    failover = Failover(providers, Breakers(), Deadlines(300.0, {"openai": Patience(0.5, 0.5, 15.0)}))
    turn = failover.answer((Candidate("openai", "m"),), lambda _: ChatRequest("m", ()))
    async with aclosing(turn) as events:
        assert "".join([event.text async for event in events if isinstance(event, Delta)]) == "Hello"
    assert len(provider.calls) == 1


@pytest.mark.parametrize("tokens", [1, 2, 30])
def test_a_stall_is_noticed_at_the_gap_deadline(tokens: int) -> None:
    async def main() -> None:
        play = [step for _ in range(tokens) for step in ("x", 1.0)]
        stage = Stage(Scripted("openai", [3.0, *play, HANG]))
        began = clock()
        with pytest.raises(Stalled):
            await stage.collect()
        # the last second of the play is part of the silence
        assert clock() - began == pytest.approx(3.0 + (tokens - 1) + 15.0)

    virtually(main)


def test_slow_but_steady_is_no_stall() -> None:
    async def main() -> None:
        play = [step for _ in range(10) for step in ("x", 14.9)]
        stage = Stage(Scripted("openai", [*play, DONE]))
        assert await stage.text() == ("openai", "x" * 10)

    virtually(main)


def test_a_slow_reader_is_not_the_providers_fault() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ["a", 10.0, "b", 10.0, "c", DONE]))
        texts = []
        async with aclosing(stage.answer()) as events:
            async for event in events:
                if isinstance(event, Delta):
                    texts.append(event.text)
                    await asyncio.sleep(60)
        assert texts == ["a", "b", "c"]

    virtually(main)


def test_a_whole_reply_has_a_deadline_while_the_provider_is_read() -> None:
    async def main() -> None:
        play = [step for _ in range(100) for step in ("x", 7.0)]
        stage = Stage(Scripted("openai", [*play, DONE]))
        began = clock()
        with pytest.raises(ReplyTimeout):
            await stage.collect()
        assert clock() - began == pytest.approx(300.0)

    virtually(main)


def test_a_whole_reply_has_a_deadline_while_the_reader_is_slow() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ["x"] * 100))
        began, texts = clock(), []

        async def read_slowly() -> None:
            async with aclosing(stage.answer()) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        texts.append(event.text)
                        await asyncio.sleep(30)

        with pytest.raises(ReplyTimeout):
            await read_slowly()
        assert clock() - began == pytest.approx(300.0)
        assert len(texts) == 10
        assert stage.providers["openai"].streaming == 0

    virtually(main)


def test_the_whole_reply_includes_the_search_for_an_answer() -> None:
    async def main() -> None:
        names = ("openai", "gemini", "claude", "ollama")
        stage = Stage(*(Scripted(name, otherwise=[HANG]) for name in names), reply=50.0)
        began = clock()
        with pytest.raises(ProviderUnavailable):
            await stage.collect()
        assert clock() - began == pytest.approx(50.0)
        assert [len(provider.calls) for provider in stage.providers.values()] == [1, 1, 1, 0]

    virtually(main)


def test_timeouts_open_the_breaker() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[HANG]), Scripted("claude"))
        await asyncio.gather(*(stage.text() for _ in range(5)))
        assert stage.health("openai") == "open"

    virtually(main)


@pytest.mark.parametrize("play", [[HANG], ["x", HANG]], ids=["first token", "gap"])
def test_a_cancel_at_the_very_moment_of_a_deadline_is_a_cancel(play: list[str | float]) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=play), Scripted("claude"))
        turn = asyncio.create_task(stage.collect())
        deadline = 20.0 if play == [HANG] else 15.0
        asyncio.get_running_loop().call_later(deadline, turn.cancel)
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert stage.providers["claude"].calls == []
        assert stage.providers["openai"].streaming == 0

    virtually(main)


def test_a_deadline_leaves_no_cancellation_behind() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [HANG]), Scripted("claude"))
        await stage.collect()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.timeout(1):
            await asyncio.sleep(0.5)

    virtually(main)


def test_an_outer_timeout_still_works() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [HANG]))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await stage.collect()
        assert stage.health("openai") == "closed"

    virtually(main)


def test_a_stream_that_swallows_the_cancel_is_given_up_all_the_same() -> None:
    class Stubborn(Scripted):
        async def stream(self, request):  # type: ignore[no-untyped-def]
            try:
                await asyncio.sleep(HANG)
            except asyncio.CancelledError:
                yield Delta("too late")

    async def main() -> None:
        stage = Stage(Stubborn("openai"), Scripted("claude"))
        assert await stage.text() == ("claude", "Hello")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    virtually(main)


def test_the_error_names_provider_and_model() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [HANG]))
        with pytest.raises(ProviderUnavailable) as caught:
            await stage.collect()
        group = caught.value.__cause__
        assert isinstance(group, ExceptionGroup)
        (error,) = group.exceptions
        assert isinstance(error, FirstSignTimeout)
        assert (error.provider, error.model) == ("openai", "openai-model")

    virtually(main)


# ── the settings ─────────────────────────────────────────────────────────────────────────────────────────────────

THINKING: dict[str, Play] = {
    "shown": [OPENED, *[1.0, Reasoning("Hm. ")] * 90, *ANSWER],
    "pings": [OPENED, *[15.0, ALIVE] * 6, *ANSWER],
    "silent": [OPENED, 90.0, *ANSWER],
    "headers with the first word": [90.0, OPENED, *ANSWER],
}


def configured(**values: Any) -> Settings:
    return Settings(supabase_url="http://localhost", supabase_publishable_key="p", supabase_secret_key="s", **values)


def staged(settings: Settings, play: Play) -> Stage:
    """Every provider with its own deadlines, as the settings make them."""
    stage = Stage(*(Scripted(provider.name, otherwise=play) for provider in PROVIDERS))
    stage.failover = Failover(stage.providers, stage.breakers, Deadlines.of(settings), clock=clock)
    return stage


@pytest.mark.parametrize("provider", [provider.name for provider in PROVIDERS])
@pytest.mark.parametrize("play", THINKING.values(), ids=THINKING)
def test_every_provider_may_think_for_ninety_seconds_by_default(provider: ProviderName, play: Play) -> None:
    async def main() -> None:
        stage = staged(configured(), play)
        stage.candidates = (Candidate(provider, "m"),)
        began = clock()
        assert await stage.text() == (provider, "Hello")
        assert clock() - began == pytest.approx(90.0)

    virtually(main)


@pytest.mark.parametrize("settings", [{}, {"OLLAMA_BASE_URL": "http://gpu.example.com:11434"}], ids=["default", "far"])
def test_a_model_that_runs_locally_may_load_for_minutes(settings: dict[str, str]) -> None:
    async def main() -> None:
        stage = staged(configured(provider_values=settings), [540.0, *ANSWER])
        stage.candidates = (Candidate("ollama", "m"),)
        assert await stage.text() == ("ollama", "Hello")

    virtually(main)


@pytest.mark.parametrize(
    ("base_url", "patience"),
    [
        ("http://127.0.0.1:8080/v1", LOCAL),
        ("http://localhost:8080/v1", LOCAL),
        ("http://[::1]:8080/v1", LOCAL),
        ("http://192.168.1.20/v1", LOCAL),
        ("http://vllm:8000/v1", LOCAL),
        ("http://gpu.local/v1", LOCAL),
        ("http://llm.default.svc.cluster.local:8000/v1", LOCAL),
        ("http://host.docker.internal:1234/v1", LOCAL),
        ("http://8.8.8.8/v1", HOSTED),
        ("https://api.openai.com/v1", HOSTED),
        ("https://openrouter.ai/api/v1", HOSTED),
        ("https://local.example.com/v1", HOSTED),
    ],
)
def test_a_server_in_ones_own_network_has_the_patience_of_a_local_one(base_url: str, patience: Patience) -> None:
    deadlines = Deadlines.of(configured(provider_values={"OPENAI_BASE_URL": base_url}))
    assert deadlines.patience[ProviderName("openai")] == patience
    assert deadlines.patience[ProviderName("claude")] == HOSTED


@pytest.mark.parametrize(
    ("settings", "patience"),
    [
        ({}, HOSTED),
        ({"first_sign_timeout_seconds": 5}, Patience(5, HOSTED.first_token, HOSTED.gap)),
        # no text comes before the first sign
        ({"first_token_timeout_seconds": 7}, Patience(7, 7, HOSTED.gap)),
        ({"first_sign_timeout_seconds": 900}, Patience(900, 900, HOSTED.gap)),
        ({"first_sign_timeout_seconds": 9, "first_token_timeout_seconds": 7}, Patience(7, 7, HOSTED.gap)),
        ({"token_gap_timeout_seconds": 3}, Patience(HOSTED.first_sign, HOSTED.first_token, 3)),
    ],
)
def test_settings_hold_for_every_provider(settings: dict[str, float], patience: Patience) -> None:
    deadlines = Deadlines.of(configured(reply_timeout_seconds=77, **settings))
    assert deadlines.patience[ProviderName("openai")] == patience
    assert deadlines.reply == 77

"""The benchmarks still run: what they stand in for Supabase and the provider is enough for whole turns."""

from __future__ import annotations

import pytest

from scripts.bench.followers import followed
from scripts.bench.load import arriving, closed_loop
from scripts.bench.scale import Figures, report
from scripts.bench.servers import beside, calls, floor, parley, surfaces


async def test_turns_of_the_benchmark_are_answered() -> None:
    with beside() as ports, parley(ports) as server:
        request = server._replace(others=()).request("fake-50-0-0")
        first = await arriving(request, turns=2, per_second=1000)
        looked = calls(ports.supabase).get("passage_models", 0)
        later = await arriving(request, turns=4, per_second=1000)
        counted = calls(ports.supabase)

    assert first.failed == later.failed == []
    assert counted["begin_turn"] == 6
    # a user without documents is known as such after a turn: no later one looks for any
    assert counted.get("passage_models", 0) == looked <= 2


async def test_followers_of_the_benchmark_read_on() -> None:
    with beside() as ports, parley(ports) as server:
        figures = await followed(server, ports, replies=2, of_a_reply=3)

    assert figures["followers"] == 6
    assert figures["followed_mb"] > 0


@pytest.mark.parametrize("kind", ["bare", "litestar"])
async def test_the_floors_pass_whole_replies_on(kind: str) -> None:
    with beside() as ports, floor(kind, kind, ports) as server:
        result = await closed_loop(server.request("fake-50-0-0"), connections=2, seconds=0.5)

    assert result.failed == []
    assert len(result.total) >= 2


async def test_each_surface_answers_with_whole_replies() -> None:
    with beside() as ports, parley(ports) as server:
        results = {
            surface.name: await arriving(surface.request("fake-50-0-0"), turns=2, per_second=1000)
            for surface in surfaces(ports, server)
        }
        counted = calls(ports.supabase)

    assert {name: (len(result.total), result.failed) for name, result in results.items()} == dict.fromkeys(
        ("Parley", "/v1/chat", "/openai/v1"), (2, [])
    )
    assert (counted["begin_turn"], counted["begin_chat_turn"], counted["begin_completion"]) == (2, 2, 2)


def test_what_takes_longer_among_more_rows_is_named() -> None:
    before = {
        ("send", "40"): Figures([5.0], [6.0], 4.0, 500),
        ("retrieve", "40"): Figures([1.0], [1.0], 1.0, 100),
        ("list conversations", "40"): Figures([0.1], [0.1], 0.05, 4),
    }
    after = {
        ("send", "40"): Figures([5.5], [6.5], 5.9, 560),
        ("retrieve", "40"): Figures([2.0], [2.0], 1.6, 150),
        # a few hundredths of a millisecond are noise
        ("list conversations", "40"): Figures([0.2], [0.2], 0.1, 4),
    }
    assert report(before, after) == ["retrieve, 40: 1.60"]

"""The benchmarks still run: what they stand in for Supabase and the provider is enough for whole turns."""

from __future__ import annotations

from scripts.bench.load import closed_loop, turn_request
from scripts.bench.turns import CONVERSATION, access_token, calls, service


async def test_turns_of_the_benchmark_are_answered() -> None:
    with service() as (_, port, supabase_port):
        request = turn_request(port, access_token(supabase_port), CONVERSATION, "fake-50-0-0")
        result = await closed_loop(port, request, connections=2, seconds=1)
        counted = calls(supabase_port)

    assert result.failed == []
    assert counted["begin_turn"] == len(result.total) >= 2
    # a user without documents is known as such after a turn: no later one looks for any
    assert counted.get("passage_models", 0) <= 2 < len(result.total)

"""What the programs must have told, and the table that is made of it for docs/clients.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clients.clients import CLIENTS, Client

USAGE = [31, 12, 43]
CALLS = [["get_weather", {"city": "Rome"}], ["get_weather", {"city": "Oslo"}]]
COUNTED = {"text": "one two three four five", "finish": "stop", "usage": USAGE}
EXPECTED: dict[str, Any] = {
    "chat": {"text": "Hello!", "finish": "stop", "usage": USAGE},
    "length": {"text": "Once upon", "finish": "length"},
    "reasoning": {"text": "Forty-two.", "reasoning": "Let me see.", "streamed": "Let me see."},
    "stream": COUNTED | {"early_finishes": [], "roles": ["assistant"], "early_usage": []},
    "stream_without_usage": {"usage": []},
    "stream_helper": {"text": COUNTED["text"]},
    "tools": {"calls": CALLS, "text": "Rome is warmer."},
    "streamed_tools": {"calls": CALLS, "text": "Rome is warmer."},
    "schema": {"name": "Ada", "year": 1843},
    "embeddings": {"sizes": [1536, 1536], "first": [0.6, -0.8, 0.001]},
    "models": ["auto", "text-embedding-3-small"],
}
"""What is told of each scenario. A program leaves out what its client does not show; more models may be listed."""
FEATURES: dict[str, tuple[str, ...]] = {
    "chat": ("chat", "length", "reasoning"),
    "stream": ("stream", "stream_without_usage", "stream_helper"),
    "tools": ("tools", "streamed_tools"),
    "JSON schema": ("schema",),
    "embeddings": ("embeddings",),
    "models": ("models",),
}
"""The scenarios that a column of the table stands for."""
FAULTS: dict[str, tuple[int | None, frozenset[str], str]] = {
    "wrong_key": (401, frozenset({"AuthenticationError", "ModelAuthenticationError"}), "This personal key does not"),
    "unknown_model": (404, frozenset({"NotFoundError", "ModelNotFoundError"}), "the model 'no-such-model'"),
    "limited": (429, frozenset({"RateLimitError", "ModelRateLimitError"}), "At most 1 requests a minute; come back in"),
    "cut": (None, frozenset({"APIError", "ModelAPIError", "StreamProviderError"}), "failed inside the reply"),
}
"""What goes wrong: the status, the error that it is for a client (of the AI SDK, always `APICallError`), and words of
its message. An error inside a stream has no status of its own."""


def is_as_expected(scenario: str, told: Any) -> bool:
    """Whether this was told of the scenario, as far as its client shows it, and something was told."""
    expected = EXPECTED[scenario]
    if isinstance(expected, list):
        return isinstance(told, list) and set(expected) <= set(told)
    return bool(told) and {name: expected.get(name) for name in told} == told


def is_raised_as_expected(fault: str, told: Any) -> bool:
    """Whether the client raised the error that this fault is."""
    status, kinds, words = FAULTS[fault]
    error = told.get("error") if isinstance(told, dict) else None
    return (
        error is not None
        and words in error["message"]
        and bool((kinds | ({"APICallError"} if status else frozenset())) & set(error["kinds"]))
        and (status is None or error["status"] == status)
        # where the client shows headers at all
        and (fault != "limited" or error["retry_after"] is None or int(error["retry_after"]) > 0)
    )


def table(told: Mapping[Client, Mapping[str, Any]]) -> str:
    """The matrix of all clients, in Markdown."""
    lines = [
        f"| client | version | {' | '.join(FEATURES)} | errors |",
        "|---" * (len(FEATURES) + 3) + "|",
    ]
    for client in CLIENTS:
        cells = [_cell(client, scenarios, told[client]) for scenarios in FEATURES.values()]
        errors = all(is_raised_as_expected(fault, told[client].get(fault)) for fault in FAULTS)
        name = f"`{client.package}`, {client.language}"
        lines.append(f"| {name} | {client.installed()} | {' | '.join(cells)} | {'yes' if errors else 'NO'} |")
    return "\n".join(lines)


def _cell(client: Client, scenarios: tuple[str, ...], told: Mapping[str, Any]) -> str:
    if scenarios[0] in client.lacks:
        return "none"
    run = [scenario for scenario in scenarios if scenario in told]
    good = scenarios[0] in told and all(is_as_expected(scenario, told[scenario]) for scenario in run)
    return "yes" if good else "NO"

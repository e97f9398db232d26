"""What every program of this folder does with its client, and how it tells what came of it: one JSON object, a member a
scenario. Runs in `.venv-clients`, so it imports nothing of the project."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

BASE_URL = os.environ["CLIENT_BASE_URL"]
KEY = os.environ["CLIENT_KEY"]
LIMITED_KEY = os.environ["CLIENT_LIMITED_KEY"]
"""Of a user who has nothing left of this minute."""
WRONG_KEY = os.environ["CLIENT_WRONG_KEY"]
CHAT, EMBEDDING = "auto", "text-embedding-3-small"

HELLO = "Say hello."
COUNT = "Count to five."
WEATHER = "Compare the weather in Rome and in Oslo."
AUTHOR = "Who wrote the first program? Answer in JSON."
LONG = "Tell a long story."
THINK = "Think, then answer."
CUT = "Begin, and break off."
TEXTS = ["one text", "another text"]

TOOL = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["name", "year"],
    "additionalProperties": False,
}


def weather(city: str) -> str:
    """What the tool answers."""
    return {"Rome": "21 degrees", "Oslo": "4 degrees"}[city]


def run(scenarios: dict[str, Callable[[], Any]]) -> None:
    """Run each scenario and print what it returned, or the error that it raised."""
    told: dict[str, Any] = {}
    for name, scenario in scenarios.items():
        try:
            told[name] = scenario()
        except Exception as error:  # whatever the client raises is what the test looks at
            told[name] = {"error": about(error)}
    print("\n" + json.dumps(told))  # noqa: T201


def about(error: BaseException) -> dict[str, Any]:
    """An error as its client shows it; of the error that it wraps, what it does not say itself."""
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or {}
    found = {
        "kind": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "retry_after": headers.get("retry-after"),
        "message": str(error),
    }
    cause = error.__cause__ or error.__context__
    if cause is not None and found["status"] is None:
        found["cause"] = about(cause)
    return found

"""Ids of tool calls: made where a provider sends none, changed where one accepts none of another's, and signed.

Gemini signs the first call of each reply, and refuses the next request unless the signature comes back with the call.
Parley keeps nothing between two requests, and the id is the part of a call that every client sends back, so it carries
the signature. The separator is LiteLLM's, so that a conversation may move between the two.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Callable

_SEPARATOR = "__thought__"
UNSIGNED = "skip_thought_signature_validator"
"""Stands for the signature of a call that another model made: https://ai.google.dev/gemini-api/docs/thought-signatures"""

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NINE = re.compile(r"[A-Za-z0-9]{9}")

Accepts = Callable[[str], bool]
"""Whether a provider accepts an id."""


def new_id() -> str:
    """An id for a call that came without one."""
    return f"call_{uuid.uuid4().hex[:24]}"


def signed(call_id: str, signature: str) -> str:
    """`call_id` with the provider's signature of the call."""
    return f"{call_id}{_SEPARATOR}{signature}"


def parted(call_id: str) -> tuple[str, str | None]:
    """The id and the signature in it, if there is one."""
    bare, separator, signature = call_id.partition(_SEPARATOR)
    return bare, signature if separator else None


def anything(call_id: str) -> bool:
    """For servers that pass ids on to the model's template, which may need the very id: Kimi's names the tool."""
    return True


def forty(call_id: str) -> bool:
    """OpenAI: at most 40 characters."""
    return len(call_id) <= 40


def plain(call_id: str) -> bool:
    """Anthropic: https://platform.claude.com/docs/en/api/messages, `tool_use_id`."""
    return _PLAIN.fullmatch(call_id) is not None


def nine(call_id: str) -> bool:
    """Mistral: exactly nine letters and digits."""
    return _NINE.fullmatch(call_id) is not None


class WireIds:
    """The ids of one request, by the order of its calls. Each is the client's where it is not empty, the provider
    accepts it and no call before has it; the same conversation always gets the same ids."""

    def __init__(self, accepts: Accepts) -> None:
        self._accepts = accepts
        self._used: set[str] = set()
        self._tried: Counter[str] = Counter()
        """How many ids were made for each of the client's: a request may have one id thousands of times."""

    def of(self, call_id: str) -> str:
        """The id of the next call."""
        wire = call_id
        while not wire or not self._accepts(wire) or wire in self._used:
            wire = hashlib.sha256(f"{self._tried[call_id]} {call_id}".encode()).hexdigest()[:9]
            self._tried[call_id] += 1
        self._used.add(wire)
        return wire

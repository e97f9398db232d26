"""Replies on Ollama's wire as they were reported."""

from __future__ import annotations

import json
from typing import Any

from app.values import ProviderName
from tests.contract.reporting import COUNTED, TEXT, WORDS, Reported, lines, replied, sent

OLLAMA = ProviderName("ollama")


def part(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": content}, "done": False, **fields}


PARTS = [part(word) for word in WORDS]
FINAL = {"done": True, "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 13}

OLLAMA_REPORTS: dict[str, Reported] = {
    # ollama/ollama-vscode#61
    "a reason without done": Reported(OLLAMA, sent(lines(*PARTS, {**part(""), **FINAL, "done": False})), usage=COUNTED),
    "done without a reason, as older versions": Reported(
        OLLAMA,
        sent(lines(*PARTS, {"done": True, "prompt_eval_count": 11, "eval_count": 13})),
        usage=COUNTED,
    ),
    # ollama/ollama#10015
    "the text in response": Reported(
        OLLAMA,
        sent(lines(*({"response": word, "done": False} for word in WORDS), {"response": "", **FINAL})),
        usage=COUNTED,
    ),
    "a prompt from its cache": Reported(
        OLLAMA, sent(lines(*PARTS, {**part(""), "done": True, "done_reason": "stop", "eval_count": 13}))
    ),
    "no counts": Reported(OLLAMA, sent(lines(*PARTS, {**part(""), "done": True, "done_reason": "stop"}))),
    "events in the place of lines": Reported(
        OLLAMA,
        sent(b"".join(b"data: " + line + b"\n\n" for line in lines(*PARTS, {**part(""), **FINAL}).splitlines())),
        usage=COUNTED,
    ),
    "text with the last line": Reported(OLLAMA, sent(lines(*PARTS[:-1], {**part(WORDS[-1]), **FINAL})), usage=COUNTED),
    "calls of tools beside the text": Reported(
        OLLAMA,
        sent(
            lines(
                *PARTS,
                {
                    "message": {"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
                    "done": False,
                },
                {**part(""), **FINAL},
            )
        ),
        usage=COUNTED,
    ),
    "load, then a reply": Reported(
        OLLAMA,
        (sent(lines({**part(""), "done": True, "done_reason": "load"})), sent(lines(*PARTS, {**part(""), **FINAL}))),
        usage=COUNTED,
    ),
    "the whole in one line": Reported(OLLAMA, replied(json.dumps({**part(TEXT), **FINAL}).encode()), usage=COUNTED),
}

"""Replies on Gemini's wire as they were reported."""

from __future__ import annotations

import json
from typing import Any

from app.values import ProviderName
from tests.contract.reporting import COUNTED, DONE, WORDS, Reported, lines, replied, sent
from tests.support.wires import sse

GEMINI = ProviderName("gemini")


def candidate(text: str | None = None, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    content = {"role": "model"} | ({} if text is None else {"parts": [{"text": text}]})
    return {"candidates": [{"index": 0, "content": content, "finishReason": reason}], **fields}


def tokens(**counts: int) -> dict[str, Any]:
    return {"usageMetadata": counts}


SPENT = tokens(promptTokenCount=11, candidatesTokenCount=13, totalTokenCount=24)
SO_FAR = tokens(promptTokenCount=11, totalTokenCount=11)
CANDIDATES = [candidate(word, **SO_FAR) for word in WORDS]

GEMINI_REPORTS: dict[str, Reported] = {
    # songquanpeng/one-api#1408, MartialBE/one-hub#402
    "STOP with every event": Reported(
        GEMINI,
        sent(sse(*(candidate(word, "STOP", **SO_FAR) for word in WORDS), candidate("", "STOP", **SPENT))),
        usage=COUNTED,
    ),
    # Chevey339/kelivo#1002
    "STOP before any text": Reported(
        GEMINI, sent(sse(candidate(None, "STOP"), *CANDIDATES, candidate(None, "STOP", **SPENT))), usage=COUNTED
    ),
    # agentjido/req_llm#638, livekit/agents#5404
    "a last event without content": Reported(
        GEMINI, sent(sse(*CANDIDATES, {"candidates": [{"finishReason": "STOP"}], **SPENT})), usage=COUNTED
    ),
    "counts after the last candidate": Reported(
        GEMINI, sent(sse(*CANDIDATES, candidate(None, "STOP"), SPENT)), usage=COUNTED
    ),
    # google-gemini-php/client#72
    "counts of the prompt alone": Reported(GEMINI, sent(sse(*CANDIDATES, candidate(None, "STOP", **SO_FAR)))),
    "candidates without a number, or all number 1": Reported(
        GEMINI,
        sent(
            sse(
                *({"candidates": [{"index": 1, "content": {"parts": [{"text": word}]}}]} for word in WORDS),
                {"candidates": [{"index": 1, "finishReason": "STOP"}], **SPENT},
            )
        ),
        usage=COUNTED,
    ),
    "a list in the place of events": Reported(
        GEMINI, replied(json.dumps([*CANDIDATES, candidate(None, "STOP", **SPENT)], indent=1).encode()), usage=COUNTED
    ),
    # looplj/axonhub#2259
    "[DONE] at the end": Reported(
        GEMINI, sent(sse(*CANDIDATES, candidate(None, "STOP", **SPENT)), DONE), usage=COUNTED
    ),
    "JSON lines under the media type of events": Reported(
        GEMINI, sent(lines(*CANDIDATES, candidate(None, "STOP", **SPENT))), usage=COUNTED
    ),
    "MALFORMED_FUNCTION_CALL without tools, then a reply": Reported(
        GEMINI,
        (
            sent(sse(candidate(None, "MALFORMED_FUNCTION_CALL", **SO_FAR))),
            sent(sse(*CANDIDATES, candidate(None, "STOP", **SPENT))),
        ),
        usage=COUNTED,
    ),
    "OTHER without text, then a reply": Reported(
        GEMINI,
        (sent(sse(candidate(None, "OTHER"))), sent(sse(*CANDIDATES, candidate(None, "STOP", **SPENT)))),
        usage=COUNTED,
    ),
    "parts of code, of calls and of signatures between the text": Reported(
        GEMINI,
        sent(
            sse(
                *CANDIDATES[:2],
                {"candidates": [{"content": {"parts": [{"executableCode": {"code": "x"}}, {"functionCall": {}}]}}]},
                {"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "abc"}]}}]},
                *CANDIDATES[2:],
                candidate(None, "STOP", **SPENT),
            )
        ),
        usage=COUNTED,
    ),
}

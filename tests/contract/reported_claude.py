"""Replies on Claude's wire as they were reported."""

from __future__ import annotations

import json
from typing import Any

from app.values import ProviderName, Usage
from tests.contract.reporting import COUNTED, DONE, TEXT, WORDS, Reported, replied, sent
from tests.support.wires import sse

CLAUDE = ProviderName("claude")


def named(*values: dict[str, Any]) -> bytes:
    return sse(*values, name=True)


def started(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"type": "message", "content": [], "usage": usage}}


def block(text: str = "") -> dict[str, Any]:
    return {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": text}}


def written(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def stopped(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


BODY = (block(), *map(written, WORDS), {"type": "content_block_stop", "index": 0})
STOP = {"type": "message_stop"}

CLAUDE_REPORTS: dict[str, Reported] = {
    # earendil-works/pi#6567
    "MiniMax: no usage at the end": Reported(
        CLAUDE,
        sent(
            named(started(input_tokens=11, output_tokens=0), *BODY),
            named({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, STOP),
        ),
    ),
    # jeremychone/rust-genai#258
    "DashScope: events without a type, the cache at the end": Reported(
        CLAUDE,
        sent(
            *(
                b"event:" + value.pop("type").encode() + b"\ndata:" + json.dumps(value).encode() + b"\n\n"
                for value in (
                    started(input_tokens=5, output_tokens=0),
                    block(),
                    *map(written, WORDS),
                    stopped(cache_read_input_tokens=6, output_tokens=13),
                    dict(STOP),
                )
            )
        ),
        usage=Usage(11, 13, 6),
    ),
    # karthink/gptel#1331
    "Bedrock behind LiteLLM: the prompt at the start alone": Reported(
        CLAUDE,
        sent(named(started(input_tokens=11, output_tokens=2), *BODY, stopped(output_tokens=13), STOP)),
        usage=COUNTED,
    ),
    # maximhq/bifrost#5629
    "Bedrock: counts in its own words at the end": Reported(
        CLAUDE,
        sent(
            named(started(), *BODY, stopped()),
            named({**STOP, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 11, "outputTokenCount": 13}}),
        ),
        usage=COUNTED,
    ),
    # sgl-project/sglang#20685
    "SGLang: zeros at the start": Reported(
        CLAUDE,
        sent(named(started(input_tokens=0, output_tokens=0), *BODY, stopped(input_tokens=11, output_tokens=13), STOP)),
        usage=COUNTED,
    ),
    # cline/cline#9215
    "MiniMax: a block that begins with what its first delta repeats": Reported(
        CLAUDE,
        sent(named(started(input_tokens=11), block(WORDS[0]), *map(written, WORDS), stopped(output_tokens=13), STOP)),
        usage=COUNTED,
    ),
    "a block that begins with text": Reported(
        CLAUDE,
        sent(
            named(started(input_tokens=11), block(WORDS[0]), {"type": "ping"}, *map(written, WORDS[1:])),
            named(stopped(output_tokens=13), STOP),
        ),
        usage=COUNTED,
    ),
    # lidge-jun/opencodex#896
    "a stream that ends before its last event": Reported(
        CLAUDE, sent(named(started(input_tokens=11), *BODY, stopped(output_tokens=13))), usage=COUNTED
    ),
    "no names, and [DONE] at the end": Reported(
        CLAUDE, sent(sse(started(input_tokens=11), *BODY, stopped(output_tokens=13)), DONE), usage=COUNTED
    ),
    "a gateway with one name for all events": Reported(
        CLAUDE,
        sent(
            sse(started(input_tokens=11), *BODY, stopped(output_tokens=13), STOP).replace(
                b"data: ", b"event: chunk\ndata: "
            )
        ),
        usage=COUNTED,
    ),
    # clacky-ai/openclacky#469
    "a window that is full": Reported(
        CLAUDE,
        sent(named(started(input_tokens=11), *BODY, stopped("model_context_window_exceeded", output_tokens=13), STOP)),
        reason="length",
        usage=COUNTED,
    ),
    "a pause of the turn": Reported(
        CLAUDE,
        sent(named(started(input_tokens=11), *BODY, stopped("pause_turn", output_tokens=13), STOP)),
        usage=COUNTED,
    ),
    # openclaw/openclaw#65288
    "compaction alone, then a reply": Reported(
        CLAUDE,
        (
            sent(named(started(input_tokens=11), stopped("compaction", output_tokens=1), STOP)),
            sent(named(started(input_tokens=11), *BODY, stopped(output_tokens=13), STOP)),
        ),
        usage=COUNTED,
    ),
    "blocks of tools and citations beside the text": Reported(
        CLAUDE,
        sent(
            named(started(input_tokens=11)),
            named(
                {"type": "content_block_start", "content_block": {"type": "server_tool_use", "id": "t", "input": {}}}
            ),
            named({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{"}}),
            named(*BODY),
            named({"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": {"url": "x"}}}),
            named(stopped(output_tokens=13), STOP),
        ),
        usage=COUNTED,
    ),
    "the whole message in the place of a stream": Reported(
        CLAUDE,
        replied(
            json.dumps(
                {
                    "type": "message",
                    "content": [{"type": "text", "text": TEXT}],
                    "stop_reason": "end_turn",
                    "usage": {"input_tokens": 11, "output_tokens": 13},
                }
            ).encode()
        ),
        usage=COUNTED,
    ),
    "the whole message once more at the end": Reported(
        CLAUDE,
        sent(
            named(started(input_tokens=11), *BODY, stopped(output_tokens=13)),
            sse({"type": "message", "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"}),
            named(STOP),
        ),
        usage=COUNTED,
    ),
}

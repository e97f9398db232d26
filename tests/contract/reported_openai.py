"""Replies on OpenAI's wire as they were reported: their events and their text."""

from __future__ import annotations

import json
from typing import Any

from app.values import ProviderName
from tests.contract.reporting import COUNTED, DONE, TEXT, WORDS, Reported, lines, sent
from tests.support.wires import sse

OPENAI = ProviderName("openai")


def chunk(content: Any = None, reason: Any = None, **fields: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **fields}


def chunks(**fields: Any) -> list[dict[str, Any]]:
    return [chunk(word, **fields) for word in WORDS]


COUNTS = {"prompt_tokens": 11, "completion_tokens": 13, "total_tokens": 24}
LAST = {"choices": [], "usage": COUNTS}
END = sse(chunk(None, "stop"), LAST) + DONE
STREAM = sse(*chunks()) + END
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": COUNTS,
}

OPENAI_REPORTS: dict[str, Reported] = {
    # AbanteAI/mentat#429, pydantic/pydantic-ai#164, BaranziniLab/biorouter#326
    "Azure: a first event without choices, filter results without a delta": Reported(
        OPENAI,
        sent(
            sse({"id": "", "object": "", "choices": [], "prompt_filter_results": [{"content_filter_results": SAFE}]}),
            sse(*chunks()),
            sse({"choices": [{"index": 0, "finish_reason": None, "content_filter_results": SAFE}]}),
            sse(
                {
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": None,
                            "content_filter_result": {"error": {"code": "content_filter_error", "message": "Timeout"}},
                        }
                    ]
                }
            ),
            END,
        ),
        usage=COUNTED,
    ),
    # cloudflare/ai#651, mastra-ai/mastra#18289, decolua/9router#1645
    "Cloudflare: tokens that are numbers, several ends, zeros in between": Reported(
        OPENAI,
        sent(
            sse(
                chunk("It is ", usage={**COUNTS, "prompt_tokens": 0}),
                chunk(6),
                chunk(" o'clock, and $"),
                chunk(0.005),
                chunk(" is the price: "),
                chunk(0),
                chunk(None, "stop", usage={"prompt_tokens": 11, "completion_tokens": 12, "total_tokens": 23}),
                chunk(None, "stop", usage=COUNTS),
                chunk(None, "stop", usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
            ),
            DONE,
            DONE,
        ),
        text=TEXT.removesuffix(".") + ": 0",
        usage=COUNTED,
    ),
    # BerriAI/litellm#376
    "LiteLLM: every choice is number 1": Reported(
        OPENAI,
        sent(
            sse(*({"choices": [{"index": 1, "delta": {"content": word}, "finish_reason": None}]} for word in WORDS)),
            sse({"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}], "usage": COUNTS}),
        ),
        usage=COUNTED,
    ),
    "another choice beside the one that was asked for": Reported(
        OPENAI,
        sent(
            *(
                sse(
                    {"choices": [{"index": 0, "delta": {"content": word}}]},
                    {"choices": [{"index": 1, "delta": {"content": "other "}}]},
                )
                for word in WORDS
            ),
            sse({"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}),
            END,
        ),
    ),
    # langchain-ai/langchain#38070, agno-agi/agno#6059
    "Perplexity: the message so far beside each delta, counts so far": Reported(
        OPENAI,
        sent(
            *(
                sse(
                    {
                        "choices": [
                            {
                                "index": 0,
                                "delta": {"role": "assistant", "content": word},
                                "message": {"role": "assistant", "content": "".join(WORDS[: place + 1])},
                                "finish_reason": "stop" if place == len(WORDS) - 1 else None,
                            }
                        ],
                        "citations": ["https://example.com"],
                        "usage": {"prompt_tokens": 11, "completion_tokens": 10 + place, "total_tokens": 21 + place},
                    }
                )
                for place, word in enumerate(WORDS)
            )
        ),
        usage=COUNTED,
    ),
    # abundantbeing/hermes-browser-extension#11; MiniMax's last event
    "MiniMax: the whole message once more at the end": Reported(
        OPENAI, sent(sse(*chunks()), sse({**WHOLE, "base_resp": {"status_code": 0, "status_msg": ""}})), usage=COUNTED
    ),
    # QwenLM/qwen-code#3896
    "DashScope: all the text so far with every event": Reported(
        OPENAI,
        sent(sse(*(chunk("".join(WORDS[: place + 1])) for place in range(len(WORDS)))), sse(chunk(TEXT, "stop")), END),
        usage=COUNTED,
    ),
    "a text that begins with what it begins with": Reported(
        OPENAI, sent(sse(chunk(")"), chunk("))"), chunk(" and so on")), END), text="))) and so on"
    ),
    "message in the place of delta": Reported(
        OPENAI,
        sent(sse(*({"choices": [{"index": 0, "message": {"content": word}}]} for word in WORDS)), END),
        usage=COUNTED,
    ),
    # anomalyco/opencode#23442
    "Z.ai: an event that was begun twice in one line": Reported(
        OPENAI,
        sent(
            sse(chunk(WORDS[0])),
            b'data: {"id":"x","object":"chat.completion.c' + sse(chunk(WORDS[1])),
            sse(chunk(WORDS[2]), chunk(WORDS[3])),
            END,
        ),
        usage=COUNTED,
    ),
    # rexxars/eventsource-parser#31
    "GLM and Kimi: one line end between events": Reported(OPENAI, sent(STREAM.replace(b"\n\n", b"\n")), usage=COUNTED),
    "blanks in the line between events": Reported(OPENAI, sent(STREAM.replace(b"\n\n", b"\n \n")), usage=COUNTED),
    # alexrudall/ruby-openai#332
    "a proxy that joins events without a line end": Reported(
        OPENAI, sent(STREAM.replace(b"\n\ndata:", b"data:")), usage=COUNTED
    ),
    "JSON lines under the media type of events": Reported(
        OPENAI, sent(lines(*chunks(), chunk(None, "stop"), LAST)), usage=COUNTED
    ),
    # SamSaffron/term-llm#454
    "JSON over several data lines": Reported(
        OPENAI,
        sent(
            b"".join(
                b"".join(b"data: " + line.encode() + b"\n" for line in json.dumps(value, indent=1).split("\n")) + b"\n"
                for value in (*chunks(), chunk(None, "stop"), LAST)
            )
        ),
        usage=COUNTED,
    ),
    "JSON over several lines, the first one marked": Reported(
        OPENAI,
        sent(
            b"".join(
                b"data: " + json.dumps(value, indent=1).encode() + b"\n\n"
                for value in (*chunks(), chunk(None, "stop"), LAST)
            )
        ),
        usage=COUNTED,
    ),
    # openai/openai-python#2721
    "events of retry and id alone": Reported(
        OPENAI, sent(b"retry: 3000\n\nid: 7\n\n", STREAM.replace(b"data: ", b"id: 7\ndata: ")), usage=COUNTED
    ),
    "words in brackets between events": Reported(
        OPENAI, sent(STREAM.replace(b"\n\n", b"\n\ndata: [HEARTBEAT]\n\n", 2)), usage=COUNTED
    ),
    # tashfeenahmed/freellmapi#166, karthink/gptel#1035
    "Mistral: content in parts, references among them": Reported(
        OPENAI,
        sent(
            sse(chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}])),
            sse(
                *(
                    chunk([{"type": "text", "text": word}, {"type": "reference", "reference_ids": [1]}])
                    for word in WORDS
                )
            ),
            END,
        ),
        usage=COUNTED,
    ),
}

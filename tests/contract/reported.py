"""What servers were reported to answer, as bytes: each is a whole reply, and none is quite what its wire says.

The reports are issues and pull requests of public repositories, named beside each.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.values import FinishReason, ProviderName, Usage
from tests.contract.wires import sse
from tests.support.raw_upstream import Exchange

OPENAI, CLAUDE, GEMINI, OLLAMA = map(ProviderName, ("openai", "claude", "gemini", "ollama"))
TEXT = "It is 6 o'clock, and $0.005 is the price."
WORDS = ("It is ", "6 o'clock,", " and $0.005", " is the price.")

Answer = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True)
class Reported:
    """A reply as it was reported. Its text is `text`, and its usage `usage` where that is said there."""

    adapter: ProviderName
    answers: Answer | tuple[Answer, ...]
    """To the one request, or to the first, to the second, and so on; the last one also to all that follow."""
    text: str = TEXT
    reason: FinishReason = "stop"
    usage: Usage | None = None
    learnt: bool = False
    """Whether what the model refuses is not sent to it again."""

    def __call__(self) -> Answer:
        """The server's part, from its beginning."""
        answers = self.answers if isinstance(self.answers, tuple) else (self.answers,)
        left = iter(answers)

        async def answer(exchange: Exchange) -> None:
            await next(left, answers[-1])(exchange)

        return answer


def sent(*chunks: bytes) -> Answer:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(*chunks)

    return answer


def replied(body: bytes, **headers: str) -> Answer:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def refused(status: int, body: object) -> Answer:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(status, json.dumps(body).encode())

    return answer


# ── OpenAI's wire ────────────────────────────────────────────────────────────────────────────────────────────────────


def chunk(content: Any = None, reason: Any = None, **fields: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **fields}


def chunks(**fields: Any) -> list[dict[str, Any]]:
    return [chunk(word, **fields) for word in WORDS]


COUNTS = {"prompt_tokens": 11, "completion_tokens": 13, "total_tokens": 24}
COUNTED = Usage(11, 13)
LAST = {"choices": [], "usage": COUNTS}
DONE = b"data: [DONE]\n\n"
END = sse(chunk(None, "stop"), LAST) + DONE
STREAM = sse(*chunks()) + END
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": COUNTS,
}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


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
    # ollama/ollama#4357
    "Ollama: an empty reason in every event": Reported(
        OPENAI, sent(sse(*(chunk(word, "") for word in WORDS)), END), usage=COUNTED
    ),
    # huggingface/text-generation-inference#2344
    "TGI: eos_token, no blank after the colon": Reported(
        OPENAI, sent((sse(*chunks(), chunk(None, "eos_token"), LAST)).replace(b"data: ", b"data:")), usage=COUNTED
    ),
    # BerriAI/litellm#27101
    "vLLM: repetition": Reported(
        OPENAI, sent(sse(*chunks(), chunk(None, "repetition"), LAST) + DONE), reason="length", usage=COUNTED
    ),
    "watsonx: not finished, then finished": Reported(
        OPENAI,
        sent(sse(*(chunk(word, "not_finished") for word in WORDS), chunk(None, "eos_token"), LAST)),
        usage=COUNTED,
    ),
    "Baidu: normal": Reported(OPENAI, sent(sse(*chunks(), chunk(None, "normal"), LAST)), usage=COUNTED),
    "Replicate: succeeded": Reported(OPENAI, sent(sse(*chunks(), chunk(None, "succeeded"), LAST)), usage=COUNTED),
    "a reason by its long name": Reported(
        OPENAI,
        sent(sse(*chunks(), chunk(None, "FINISH_REASON_MAX_TOKENS"), LAST)),
        reason="length",
        usage=COUNTED,
    ),
    "calls of tools beside the text": Reported(
        OPENAI,
        sent(
            sse(*chunks()),
            sse({"choices": [{"index": 0, "delta": {"content": None, "tool_calls": [{"index": 0, "id": "c"}]}}]}),
            sse(chunk(None, "tool_calls"), LAST),
        ),
        usage=COUNTED,
    ),
    # ggml-org/llama.cpp#15827, abetlen/llama-cpp-python#1082
    "llama.cpp: timings in the place of usage": Reported(
        OPENAI,
        sent(
            sse(*chunks()),
            sse(chunk(None, "stop", timings={"cache_n": 10, "prompt_n": 1, "predicted_n": 13, "predicted_ms": 7.5})),
            DONE,
        ),
        usage=COUNTED,
    ),
    "llama.cpp: timings and usage": Reported(
        OPENAI,
        sent(
            sse(*chunks()),
            sse(chunk(None, "stop", timings={"cache_n": 10, "prompt_n": 1, "predicted_n": 13})),
            sse({**LAST, "timings": {"cache_n": 10, "prompt_n": 1, "predicted_n": 13}}),
            DONE,
        ),
        usage=COUNTED,
    ),
    "Groq: usage in a place of its own": Reported(
        OPENAI,
        sent(sse(*chunks(x_groq={"id": "r"})), sse(chunk(None, "stop", x_groq={"id": "r", "usage": COUNTS})), DONE),
        usage=COUNTED,
    ),
    "usage that is a string of digits, a fraction or null": Reported(
        OPENAI,
        sent(
            sse(*chunks(usage=None)),
            sse(chunk(None, "stop", usage={"prompt_tokens": "11", "completion_tokens": 13.0, "total_tokens": None})),
        ),
        usage=COUNTED,
    ),
    # aws-samples/bedrock-access-gateway#15, abetlen/llama-cpp-python#1640
    "usage of zeros": Reported(
        OPENAI, sent(sse(*chunks()), sse(chunk(None, "stop", usage=dict.fromkeys(COUNTS, 0))), DONE)
    ),
    "no usage at all": Reported(OPENAI, sent(sse(*chunks(), chunk(None, "stop")))),
    "usage of a total alone": Reported(
        OPENAI, sent(sse(*chunks()), sse(chunk(None, "stop", usage={"total_tokens": 24})), DONE)
    ),
    "an error that says that all is well": Reported(
        OPENAI,
        sent(
            sse(
                *chunks(error={"code": 0, "message": "success"}),
                chunk(None, "stop", error="null", code=200, message="OK"),
            ),
            sse(LAST),
        ),
        usage=COUNTED,
    ),
    "the whole completion in the place of a stream": Reported(
        OPENAI, replied(json.dumps(WHOLE).encode()), usage=COUNTED
    ),
    "the whole completion as one event": Reported(OPENAI, sent(sse(WHOLE), DONE), usage=COUNTED),
    "the whole completion over several lines": Reported(
        OPENAI, replied(b"\n\n" + json.dumps(WHOLE, indent=2).encode()), usage=COUNTED
    ),
    "a compressed body": Reported(
        OPENAI,
        replied(gzip.compress(STREAM), content_encoding="gzip", content_type="text/event-stream"),
        usage=COUNTED,
    ),
    "carriage returns, a byte order mark, comments and names": Reported(
        OPENAI,
        sent(
            b"\xef\xbb\xbf: hello\r\n\r\n", STREAM.replace(b"data: ", b"event: message\ndata: ").replace(b"\n", b"\r\n")
        ),
        usage=COUNTED,
    ),
    "role with every delta, content null at the end": Reported(
        OPENAI,
        sent(
            sse(*({"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]} for word in WORDS)),
            sse({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": "stop"}]}),
            sse({"choices": None, "usage": COUNTS}),
            DONE,
        ),
        usage=COUNTED,
    ),
    # lobehub/lobehub#9385
    "OpenAI: an organization that may not stream": Reported(
        OPENAI,
        (
            refused(
                400,
                {
                    "error": {
                        "message": "Your organization must be verified to stream this model. Please go to: …",
                        "type": "invalid_request_error",
                        "param": "stream",
                        "code": "unsupported_value",
                    }
                },
            ),
            replied(json.dumps(WHOLE).encode()),
        ),
        usage=COUNTED,
        learnt=True,
    ),
    # ChatGPTNextWeb/NextChat#6252, nomic-ai/gpt4all#3150
    "OpenAI: a model that does not stream": Reported(
        OPENAI,
        (
            refused(
                400,
                {
                    "error": {
                        "message": "Unsupported value: 'stream' does not support true with this model. Only the "
                        "default (false) value is supported.",
                        "type": "invalid_request_error",
                        "param": "stream",
                        "code": "unsupported_value",
                    }
                },
            ),
            replied(json.dumps(WHOLE).encode()),
        ),
        usage=COUNTED,
        learnt=True,
    ),
    "TGI: 424 once": Reported(
        OPENAI,
        (refused(424, {"error": "Request failed during generation: …", "error_type": "generation"}), sent(STREAM)),
        usage=COUNTED,
    ),
    # lmstudio-ai/lmstudio-bug-tracker#116
    "LM Studio: a model that was just unloaded": Reported(
        OPENAI, (refused(400, {"error": "Model unloaded."}), sent(STREAM)), usage=COUNTED
    ),
    "a reply without text, then one with": Reported(
        OPENAI,
        (sent(sse(chunk(""), chunk(None, "stop"), LAST), DONE), sent(STREAM)),
        usage=COUNTED,
    ),
    # gryszzz/open-thymos#97, HunorLaczko/ha-groq-cloud-api#20
    "Groq: a call of a tool that does not exist, then a reply": Reported(
        OPENAI,
        (
            refused(
                400,
                {
                    "error": {
                        "message": "Tool choice is none, but model called a tool",
                        "type": "invalid_request_error",
                        "code": "tool_use_failed",
                        "failed_generation": '{"name": "browser.search", "arguments": {}}',
                    }
                },
            ),
            sent(STREAM),
        ),
        usage=COUNTED,
    ),
    # UKGovernmentBEIS/inspect_ai#5218
    "Groq: the same inside the stream": Reported(
        OPENAI,
        (
            sent(
                sse(chunk("")),
                b"event: error\n"
                + sse({"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}),
            ),
            sent(STREAM),
        ),
        usage=COUNTED,
    ),
    # anomalyco/opencode#28427, exo-explore/exo#2092
    "role that is empty, and every other field null": Reported(
        OPENAI,
        sent(
            sse(
                *(
                    {
                        "choices": [
                            {
                                "delta": {
                                    "role": "",
                                    "content": word,
                                    "tool_calls": None,
                                    "function_call": None,
                                    "refusal": None,
                                    "reasoning_content": None,
                                },
                                "logprobs": None,
                                "finish_reason": None,
                                "usage": None,
                            }
                        ],
                        "usage": None,
                        "error": None,
                    }
                    for word in WORDS
                )
            ),
            END,
        ),
        usage=COUNTED,
    ),
    # ogx-ai/ogx#5122
    "Gemini behind OpenAI's wire: STOP and counts so far with every event": Reported(
        OPENAI,
        sent(
            sse(
                *(
                    chunk(
                        word, "stop", usage={"prompt_tokens": 11, "completion_tokens": 10 + place, "total_tokens": 24}
                    )
                    for place, word in enumerate(WORDS)
                )
            ),
            DONE,
        ),
        usage=COUNTED,
    ),
    # diegosouzapw/OmniRoute#3044, open-webui/computer#293
    "OpenRouter: the refusal of a parameter in the words of another": Reported(
        OPENAI,
        (
            refused(
                400,
                {
                    "error": {
                        "message": "Provider returned error",
                        "code": 400,
                        "metadata": {
                            "raw": json.dumps({"error": {"message": "Unrecognized request argument: stream_options"}}),
                            "provider_name": "Crucible",
                        },
                    }
                },
            ),
            sent(STREAM),
        ),
        usage=COUNTED,
        learnt=True,
    ),
}


# ── Claude's wire ────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── Gemini's wire ────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── Ollama's wire ────────────────────────────────────────────────────────────────────────────────────────────────────


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

REPORTS: dict[str, Reported] = {
    f"{adapter}: {name}": report
    for adapter, reports in (
        (OPENAI, OPENAI_REPORTS),
        (CLAUDE, CLAUDE_REPORTS),
        (GEMINI, GEMINI_REPORTS),
        (OLLAMA, OLLAMA_REPORTS),
    )
    for name, report in reports.items()
}

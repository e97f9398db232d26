"""Replies on OpenAI's wire as they were reported: their reasons to finish, counts, whole completions and refusals."""

from __future__ import annotations

import gzip
import json

from tests.contract.reported_openai import COUNTS, END, LAST, OPENAI, STREAM, WHOLE, chunk, chunks
from tests.contract.reporting import COUNTED, DONE, WORDS, Reported, refused, replied, sent
from tests.support.wires import sse

ENDS: dict[str, Reported] = {
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

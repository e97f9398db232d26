"""How servers say that a request is too long for a model, and the numbers they name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import ContextTooLong, RequestRefused, ServerError, Throttled
from app.providers.failures import WORDS_LIMIT, failure, kind_of_status, words_of

SAID: list[tuple[str, int | None, int | None, int | None]] = [
    (
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
            "tokens. Please reduce the length of the messages."
        ),
        400,
        8192,
        9000,
    ),
    (
        (
            "This model's maximum context length is 4097 tokens. However, you requested 5360 tokens (1360 "
            "in the messages, 4000 in the completion). Please reduce the length of the messages or "
            "completion."
        ),
        400,
        4097,
        1360,
    ),
    (
        (
            "This endpoint's maximum context length is 131072 tokens. However, you requested about 150123 "
            "tokens (149000 of text input, 1123 in the output). Please reduce the length of either one, "
            'or use the "middle-out" transform to compress your prompt automatically.'
        ),
        400,
        131072,
        149000,
    ),
    (
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context "
            "length is 4096 tokens and your request has 50 input tokens (4096 > 4096 - 50)."
        ),
        400,
        4096,
        50,
    ),
    (
        (
            "The decoder prompt (length 5012) is longer than the maximum model length of 4096. Make sure "
            "that `max_model_len` is no smaller than the number of text tokens."
        ),
        400,
        4096,
        5012,
    ),
    ("Input length (5012) exceeds model's maximum context length (4096).", 400, 4096, 5012),
    ("The input (5012 tokens) is longer than the model's context length (4096 tokens).", 400, 4096, 5012),
    (
        (
            "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
            "requested a total of 5120 tokens: 4120 tokens from the input messages and 1000 tokens for "
            "the completion."
        ),
        400,
        4096,
        4120,
    ),
    (
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 "
            "`inputs` tokens and 1000 `max_new_tokens`"
        ),
        422,
        4096,
        4000,
    ),
    ("Input validation error: `inputs` must have less than 1024 tokens. Given: 3000", 422, 1024, 3000),
    (
        ("request (3931 tokens) exceeds the available context size (1024 tokens), try increasing it"),
        400,
        1024,
        3931,
    ),
    (
        ("the request exceeds the available context size. try increasing the context size or enable context shift"),
        400,
        None,
        None,
    ),
    ("Context size has been exceeded.", 500, None, None),
    ("input is too large to process. increase the physical batch size", 500, None, None),
    (
        (
            "Trying to keep the first 5012 tokens when context the overflows. However, the model is "
            "loaded with context length of only 4096 tokens, which is not enough. Try to load the model "
            "with a larger context length, or provide a shorter input"
        ),
        None,
        4096,
        5012,
    ),
    (
        (
            "The number of tokens to keep from the initial prompt is greater than the context length "
            "(n_keep: 5012>= n_ctx: 4096). Try to load the model with a larger context length, or provide "
            "a shorter input."
        ),
        400,
        4096,
        5012,
    ),
    (
        (
            "Reached context length of 4096 tokens with this model, but this model does not currently "
            "support mid-generation context overflow."
        ),
        None,
        4096,
        None,
    ),
    ("Prompt length 5012 is greater than max_seq_len 4096", 400, 4096, 5012),
    ("the input length exceeds the context length", 400, None, None),
    ("prompt too long; exceeded max context length by 1234 tokens", 400, None, None),
    ("Please reduce the length of the messages or completion.", 400, None, None),
    (
        ("Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192"),
        400,
        8192,
        9000,
    ),
    (
        (
            "Request too large for model `llama-3.1-8b-instant` in organization `org_01` service tier "
            "`on_demand` on tokens per minute (TPM): Limit 6000, Requested 8123, please reduce your "
            "message size and try again."
        ),
        413,
        6000,
        8123,
    ),
    (
        (
            "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, "
            "Requested 50012. The input or output tokens must be reduced in order to run successfully."
        ),
        429,
        30000,
        50012,
    ),
    (
        ("Prompt contains 40012 tokens and 0 draft tokens, too large for model with 32768 maximum context length"),
        400,
        32768,
        40012,
    ),
    (
        (
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5012. "
            "Try using a shorter prompt"
        ),
        400,
        4081,
        5012,
    ),
    ("This model's maximum prompt length is 131072 but the request contains 150012 tokens.", 400, 131072, 150012),
    ("prompt is too long: 210012 tokens > 200000 maximum", 400, 200000, 210012),
    (
        (
            "input length and `max_tokens` exceed context limit: 199759 + 20000 > 200000, decrease input "
            "length or `max_tokens` and try again"
        ),
        400,
        200000,
        219759,
    ),
    ("The input token count (1200012) exceeds the maximum number of tokens allowed (1048576).", 400, 1048576, 1200012),
    (
        (
            "Unable to submit request because the input token count is 40012 but model only supports up "
            "to 32768. Reduce the input token count and try again."
        ),
        400,
        32768,
        40012,
    ),
    ("Input is too long for requested model.", 400, None, None),
    ("Range of input length should be [1, 30720]", 400, 30720, None),
    ("Invalid request: Your request exceeded model token limit: 8192", 400, 8192, None),
    ("The prompt is too long: 5012, model maximum context length: 4095", 400, 4095, 5012),
    ("prompt token count of 70012 exceeds the limit of 64000", 400, 64000, 70012),
    ("Request body too large for gpt-4o model. Max size: 8000 tokens.", 413, 8000, None),
    ("Request Entity Too Large", 413, None, None),
    ("", 413, None, None),
    ("invalid params, context window exceeds limit", 400, None, None),
    ("The long context beta is not yet available for this subscription.", 400, None, None),
    ("Input length 5,012 exceeds the maximum length 4,096", 400, 4096, 5012),
    (
        ("Your input exceeds the context window of this model. Please adjust your input and try again."),
        400,
        None,
        None,
    ),
    (
        ("This model's maximum context length is 131,072 tokens. However, your messages resulted in 150,000 tokens."),
        400,
        131072,
        150000,
    ),
    ("input tokens (5012) exceed the configured limit of 4096 tokens", 400, 4096, 5012),
    (
        (
            "You passed 5001 input tokens and requested 1000 output tokens. However, the model's context length is "
            "only 4096 tokens, resulting in a maximum input length of 3096 tokens. Please reduce the length of the "
            "input prompt. (parameter=input_tokens, value=5001)"
        ),
        400,
        4096,
        5001,
    ),
    (
        (
            "This model's maximum context length is 4096 tokens. However, you requested 1000 output tokens and your "
            "prompt contains at least 3200 input tokens, for a total of at least 4200 tokens."
        ),
        400,
        4096,
        3200,
    ),
    (
        (
            "This model's maximum context length is 2048 tokens, however you requested 3000 tokens (2500 in your "
            "prompt; 500 for the completion). Please reduce your prompt; or completion length."
        ),
        400,
        2048,
        2500,
    ),
    ("Requested tokens (3000) exceed context window of 2048", 500, 2048, 3000),
    ("Requested input length 5012 exceeds maximum input length 4096", 400, 4096, 5012),
    ("input sequence length (5012) exceeds max_input_len (4096)", 500, None, 5012),
    ("The sum of prompt length (5012), query length (0) should not exceed max_num_tokens (4096)", 500, 4096, 5012),
    ("Request prompt has 5012 tokens in total, larger than the model input length limit 4096.", 400, 4096, 5012),
    (
        (
            "The maximum context length of Meta-Llama-3.1-8B-Instruct is 8192. However, answering your request will "
            "take 9012 tokens. Please reduce the length of the messages."
        ),
        400,
        8192,
        9012,
    ),
    ("BAD_REQUEST: prompt token count (40000) cannot exceed 32768.", 400, 32768, 40000),
    ("the number of input tokens 5012 cannot exceed the total tokens limit 4096 for this model", 400, 4096, 5012),
    ("Requested token count 300000 exceeds limit of 256000", 422, 256000, 300000),
    ("Too many input tokens. Max input tokens: 8192, request input token count: 9000", 400, 8192, 9000),
    ("too many tokens: size limit exceeded by 1234 tokens. Try using shorter or fewer inputs", 400, None, None),
    ("The input token count exceeds the maximum number of tokens allowed 1048576.", 400, 1048576, None),
    (
        (
            "AiError: The estimated number of input and maximum output tokens (9000) exceeded this model context "
            "window limit (8192)."
        ),
        413,
        8192,
        9000,
    ),
    ("Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)", 400, 8192, 9000),
    ("Total message token length exceed model limit (100000 tokens).", 400, 100000, None),
    ("Total tokens of image and text exceed max message tokens.", 400, None, None),
    ("This request has 70012 tokens, which exceeds the limit of 65536 tokens.", 400, 65536, 70012),
    ("Input prompt is too big compared to KV size. Please try increasing KV size.", 500, None, None),
    ("max tokens of 4096 exceeded", 400, 4096, None),
    ("Your prompt is longer than the model's 128k context window", 400, 128_000, None),
    ("The model's maximum context length is 32K tokens", 400, 32_000, None),
    ("输入过长", 400, None, None),
    ("输入超出模型最大上下文长度", 400, None, None),
    # gateways that pass on a refusal as trouble of the server that they asked
    ("Upstream error from Provider: This model's maximum context length is 8192 tokens.", 502, 8192, None),
]
"""The words, the HTTP status (None: inside a stream), the limit and the count that they name."""


@pytest.mark.parametrize(("words", "status", "limit", "counted"), SAID)
def test_too_long_and_by_how_much(words: str, status: int | None, limit: int | None, counted: int | None) -> None:
    kind = ServerError if status is None else kind_of_status(status)
    error = failure(kind, words, provider="p", model="m", status=status)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.counted) == (limit, counted)


@pytest.mark.parametrize(
    ("words", "status", "kind"),
    [
        ("maximum context length", 503, ServerError),
        ("maximum context length", 429, Throttled),
        ("This request would exceed the limit of 30,000 input tokens per minute", 429, Throttled),
        ("Total tokens per day exceeded", 400, RequestRefused),
        (
            "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 5000. Try again in 7s.",
            429,
            Throttled,
        ),
        ("The image is too large", 400, RequestRefused),
        (
            "max_tokens: 4096 > 1024, which is the maximum allowed number of output tokens for claude",
            400,
            RequestRefused,
        ),
        ("messages: at least one message is required", 400, RequestRefused),
        ("Invalid value for temperature", 400, RequestRefused),
        ("roles must alternate", 400, RequestRefused),
        ("The model does not support system messages", 400, RequestRefused),
    ],
)
def test_other_refusals_are_not_for_length(words: str, status: int, kind: type[Exception]) -> None:
    assert type(failure(kind_of_status(status), words, provider="p", model="m", status=status)) is kind


def test_a_rate_of_tokens_inside_a_stream_is_no_length() -> None:
    words = "Number of request tokens has exceeded your per-minute rate limit"
    assert type(failure(Throttled, words, provider="p", model="m")) is Throttled


RAW = "This model's maximum context length is 8192 tokens. However, you requested 9012 tokens."


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Provider returned error", "code": 400, "metadata": {"raw": RAW, "provider_name": "p"}},
        {"message": "Provider returned error", "metadata": {"raw": json.dumps({"error": {"message": RAW}})}},
        {"message": "Provider returned error", "metadata": {"raw": json.dumps([{"error": {"message": RAW}}])}},
        {"message": "Bad Request", "innererror": {"code": "X", "message": RAW}},
        {"error": {"message": "upstream", "cause": {"cause": {"error": RAW}}}},
    ],
)
def test_the_words_are_those_of_the_error_that_a_gateway_passes_on(body: dict[str, Any]) -> None:
    error = failure(RequestRefused, body, provider="p", model="m", status=400)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.counted) == (8192, 9012)


def test_what_else_a_gateway_adds_is_none_of_its_words() -> None:
    metadata = {"reasons": ["violence"], "flagged_input": "maximum context length"}
    assert words_of({"message": "Refused", "metadata": metadata}) == "Refused"


def test_the_numbers_may_stand_beside_the_words() -> None:
    """llama.cpp of 2025."""
    words = "the request exceeds the available context size. try increasing the context size or enable context shift"
    body = {"code": 400, "message": words, "type": "exceed_context_size_error", "n_prompt_tokens": 3931, "n_ctx": 1024}
    error = failure(RequestRefused, body, provider="p", model="m", status=400)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.counted) == (1024, 3931)


@pytest.mark.parametrize("code", ["context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"])
def test_the_code_says_it_without_words(code: str) -> None:
    error = failure(RequestRefused, "上下文", provider="p", model="m", status=400, code=code)
    assert isinstance(error, ContextTooLong)


def test_numbers_are_looked_for_in_the_beginning_only() -> None:
    words = "prompt is too long " + "9" * WORDS_LIMIT + " > 4096 maximum"
    error = failure(RequestRefused, words, provider="p", model="m", status=400)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.counted) == (None, None)

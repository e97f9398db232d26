"""How servers say that a request is too long for a model, and the numbers they name."""

from __future__ import annotations

import pytest

from app.errors import ContextTooLong, RequestRefused, ServerError, Throttled
from app.providers.failures import WORDS_LIMIT, failure, kind_of_status

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


def test_numbers_are_looked_for_in_the_beginning_only() -> None:
    words = "prompt is too long " + "9" * WORDS_LIMIT + " > 4096 maximum"
    error = failure(RequestRefused, words, provider="p", model="m", status=400)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.counted) == (None, None)

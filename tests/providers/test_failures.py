"""Statuses, codes and words as our errors; how long to wait before another try."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import (
    AuthenticationRefused,
    ContentFiltered,
    ContextTooLong,
    EmptyReply,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers.claude import wire as claude
from app.providers.failures import MESSAGE_LIMIT, failure, kind_of_status, retry_after, without_keys
from app.providers.gemini import wire as gemini
from app.providers.openai import wire as openai

NOON = 784_111_777.0
"""Sun, 06 Nov 1994 08:49:37 GMT"""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "17"}, 17),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": " 17 "}, 17),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:00 GMT"}, 0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOON) == seconds


@pytest.mark.parametrize(
    ("words", "without"),
    [
        ("Incorrect API key provided: sk-abc******wxyz.", "Incorrect API key provided: [key]"),
        ("Received=sk-1234, expected another", "Received=[key], expected another"),
        ("Invalid key AIzaSyA1234567890abcdefghij!", "Invalid key [key]!"),
        ("API key not valid. Please pass a valid API key.", "API key not valid. Please pass a valid API key."),
        ("invalid x-api-key", "invalid x-api-key"),
        ("Missing scopes: api.model.read", "Missing scopes: api.model.read"),
    ],
)
def test_keys_are_left_out_of_a_providers_words(words: str, without: str) -> None:
    assert without_keys(words) == without


@pytest.mark.parametrize(
    ("words", "status", "wrong"),
    [
        ("Incorrect API key provided", 401, True),
        ("", 401, True),
        ("API key not valid", 400, True),
        # the key may be right, and only not for this
        ("You have insufficient permissions for this operation. Missing scopes: model.read", 401, False),
        ("Country not supported", 403, False),
    ],
)
def test_a_wrong_key_is_told_from_one_that_may_not(words: str, status: int, *, wrong: bool) -> None:
    error = failure(AuthenticationRefused, words, provider="openai", model=None, status=status)
    assert isinstance(error, AuthenticationRefused)
    assert error.wrong is wrong


def test_message_is_one_short_line() -> None:
    error = failure(RequestRefused, "first\n  second\t" + "x" * 1000, provider="openai", model="m", status=400)
    assert str(error).startswith("400: first second xxx")
    assert len(str(error)) == MESSAGE_LIMIT


@pytest.mark.parametrize(("message", "status", "code"), [(None, None, None), ("", None, None)])
def test_message_is_never_empty(message: str | None, status: int | None, code: str | None) -> None:
    assert str(failure(ServerError, message, provider="openai", model="m", status=status, code=code))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", 400),
        ("Output blocked by content filtering policy", 400),
        ("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", 400),
        ("Your request was rejected as a result of our safety system.", 400),
        ('gpt-5 requires moderation on OpenAI. Your input was flagged for "violence". No credits were charged.', 403),
        ("Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO", 403),
        ("Content Exists Risk", 400),
        ("Input data may contain inappropriate content.", 400),
        ("The request was rejected because it was considered high risk", 400),
        ("The prompt was blocked by the configured guardrail", None),
    ],
)
def test_words_for_filtered(words: str, status: int | None) -> None:
    assert (
        type(failure(kind_of_status(status or 400), words, provider="p", model="m", status=status)) is ContentFiltered
    )


@pytest.mark.parametrize(
    "words",
    ["Your account has been deactivated for violating our policies", "You are not allowed to access this model"],
)
def test_refusal_of_an_account_is_no_refusal_of_content(words: str) -> None:
    error = failure(AuthenticationRefused, words, provider="p", model="m", status=403)
    assert type(error) is AuthenticationRefused


def test_words_do_not_change_what_the_status_says() -> None:
    words = "maximum context length of the content filtering policy"
    assert type(failure(ServerError, words, provider="p", model="m", status=503)) is ServerError
    assert type(failure(Throttled, words, provider="p", model="m", status=429)) is Throttled


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        ({"code": "rate_limit_exceeded", "type": "requests"}, 429, Throttled),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, 429, QuotaExhausted),
        ({"code": "billing_hard_limit_reached", "type": "invalid_request_error"}, 400, QuotaExhausted),
        ({"code": "context_length_exceeded", "type": "invalid_request_error"}, 400, ContextTooLong),
        ({"code": 400, "type": "exceed_context_size_error"}, 400, ContextTooLong),
        ({"code": "content_filter"}, 400, ContentFiltered),
        ({"code": "invalid_prompt", "type": "invalid_request_error"}, 400, ContentFiltered),
        ({"code": "model_not_found", "type": "invalid_request_error"}, 404, ModelNotFound),
        ({"code": "unsupported_country_region_territory"}, 403, AuthenticationRefused),
        ({"code": None, "type": "invalid_request_error"}, 404, ModelNotFound),
        ({"code": "invalid_value", "type": "invalid_request_error"}, 400, RequestRefused),
        ({}, 402, QuotaExhausted),
        ({}, 408, ServerError),
        ({}, 424, ServerError),
        ({}, 425, ServerError),
        ({}, 499, ServerError),
        ({}, 498, Throttled),
        ({"message": "Model unloaded."}, 400, ServerError),
        ({"message": "No models loaded. Please load a model in the developer page"}, 404, ServerError),
        ({"message": "insufficient balance (1008)", "type": "insufficient_balance_error"}, 429, QuotaExhausted),
        ({"message": "insufficient balance (1008)", "type": "api_error"}, 500, QuotaExhausted),
        ({"message": "This request requires more credits, but can only afford 0."}, 402, QuotaExhausted),
        ({"message": "You requested up to 64000 tokens, but can only afford 3919."}, 402, RequestRefused),
        ({"message": "Prompt tokens limit exceeded: 15000 > 8421."}, 402, ContextTooLong),
        ({"code": "tool_use_failed", "type": "invalid_request_error"}, 400, EmptyReply),
        ({}, 409, RequestRefused),
        ({}, 529, ServerError),
    ],
)
def test_openai(error: dict[str, Any], status: int, kind: type[ProviderError]) -> None:
    assert type(openai.failure_of(openai.error_of(error), "m", status)) is kind


@pytest.mark.parametrize(
    ("error", "status", "retry", "kind"),
    [
        ({"type": "rate_limit_error"}, 429, 20.0, Throttled),
        # a spend limit has no end that could be waited for
        ({"type": "rate_limit_error"}, 429, None, QuotaExhausted),
        ({"type": "billing_error"}, 402, None, QuotaExhausted),
        (
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API"},
            400,
            None,
            QuotaExhausted,
        ),
        ({"type": "permission_error"}, 403, None, AuthenticationRefused),
        ({"type": "request_too_large"}, 413, None, ContextTooLong),
        ({"type": "overloaded_error"}, 529, None, ServerError),
    ],
)
def test_claude(error: dict[str, Any], status: int, retry: float | None, kind: type[ProviderError]) -> None:
    assert type(claude.failure_of(claude.error_of(error), "m", status, retry)) is kind


def quota(quota_id: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota_id}]}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}


@pytest.mark.parametrize(
    ("code", "details", "kind", "wait"),
    [
        (429, [quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), RETRY_INFO], Throttled, 34.5),
        (429, [quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), RETRY_INFO], QuotaExhausted, 34.5),
        (429, None, Throttled, None),
        (400, [BAD_KEY], AuthenticationRefused, None),
        (400, [{"violations": "unknown"}, 7], RequestRefused, None),
        (403, [], AuthenticationRefused, None),
        (503, [RETRY_INFO], ServerError, 34.5),
    ],
)
def test_gemini(code: int, details: list[Any] | None, kind: type[ProviderError], wait: float | None) -> None:
    error = gemini.failure_of(gemini.error_of({"code": code, "details": details}), "m")
    assert type(error) is kind
    assert error.retry_after == wait

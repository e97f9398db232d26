"""Reads the stream of Gemini's `streamGenerateContent?alt=sse`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from app.errors import AuthenticationRefused, ContentFiltered, ProviderError, QuotaExhausted, ServerError
from app.messages import FinishReason, Usage
from app.providers.failures import failure, kind_of_status
from app.providers.gemini.description import NAME
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events

# https://ai.google.dev/api/generate-content#FinishReason; every reason not named here or below is a filter's
_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    # the provider's own limit for one request; we do not ask it to go on
    "CONTINUATION": "length",
}
_FAILED = frozenset(
    {
        "OTHER",
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"


class _Violation(msgspec.Struct, rename="camel"):
    quota_id: str | None = None


class _Detail(msgspec.Struct, rename="camel"):
    """One of Google's error details: only the fields of ErrorInfo, QuotaFailure and RetryInfo that we use."""

    reason: str | None = None
    violations: list[_Violation] | None = None
    retry_delay: str | None = None


class ErrorBody(msgspec.Struct):
    """The `error` of an answer or of an event. https://cloud.google.com/apis/design/errors"""

    code: int | None = None
    message: str | None = None
    status: str | None = None
    details: list[Any] | None = None


def failure_of(error: ErrorBody, model: str | None, retry_after: float | None = None) -> ProviderError:
    """The failure that Gemini's error means; its `code` is the HTTP status, also inside a stream."""
    status = error.code
    details = list(_details(error.details or ()))
    kind = kind_of_status(status) if status is not None else ServerError
    # a bad key is answered with 400, not with 401
    if any(detail.reason in ("API_KEY_INVALID", "API_KEY_EXPIRED") for detail in details):
        kind = AuthenticationRefused
    quotas = [v.quota_id or "" for detail in details for v in detail.violations or ()]
    if status == 429 and any("PerDay" in quota for quota in quotas):
        kind = QuotaExhausted
    if retry_after is None:
        delays = (_seconds(detail.retry_delay) for detail in details)
        retry_after = next((delay for delay in delays if delay is not None), None)
    return failure(
        kind,
        error.message,
        provider=NAME,
        model=model,
        status=status,
        code=error.status,
        retry_after=retry_after,
    )


def _details(values: list[Any] | tuple[()]) -> list[_Detail]:
    details = []
    for value in values:
        try:
            details.append(msgspec.convert(value, _Detail))
        except msgspec.ValidationError:
            continue  # a detail of another kind whose fields have the same names
    return details


def _seconds(duration: str | None) -> float | None:
    """A protobuf duration such as `34.07s`, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", duration or "")
    return float(match[1]) if match else None


class _Part(msgspec.Struct):
    text: str | None = None
    thought: bool | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: int | None = None
    content: _Content | None = None
    finish_reason: str | None = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _UsageMetadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: _UsageMetadata | None = None
    error: ErrorBody | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class GeminiDecoder(Decoder):
    """Reads response chunks. The format has no last event: the finish is given out at the end of the stream."""

    provider = NAME

    def __init__(self, model: str) -> None:
        super().__init__(model, Events())

    def _take(self, payload: bytes) -> None:
        chunk = self._decoded(_CHUNK, payload)
        if chunk.error is not None:
            raise failure_of(chunk.error, self.model)
        if (usage := chunk.usage_metadata) is not None:
            self._usage = Usage(
                (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
                (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
                usage.cached_content_token_count or 0,
            )
        for candidate in chunk.candidates or ():
            if not candidate.index:
                self._read(candidate)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            blocked = failure(
                ContentFiltered,
                f"the prompt was blocked: {feedback.block_reason}",
                provider=self.provider,
                model=self.model,
            )
            raise blocked

    def _read(self, candidate: _Candidate) -> None:
        for part in (candidate.content and candidate.content.parts) or ():
            if part.text and not part.thought:
                self._texts.append(part.text)
        reason = candidate.finish_reason
        if reason in _FAILED:
            raise failure(ServerError, f"finish reason {reason}", provider=self.provider, model=self.model)
        if reason and reason != _UNSPECIFIED:
            self._reason = _REASONS.get(reason, "content_filter")

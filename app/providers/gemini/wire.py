"""Reads the stream of Gemini's `streamGenerateContent?alt=sse`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from app.errors import AuthenticationRefused, ContentFiltered, ProviderError, QuotaExhausted, ServerError
from app.providers.failures import failure, innermost, is_error, kind_of_status, words_of
from app.providers.gemini.description import NAME
from app.providers.wire.calls import NOTHING, Asked, Piece
from app.providers.wire.counts import places
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import Events
from app.providers.wire.parts import text_of
from app.providers.wire.reasons import NONE, normal
from app.providers.wire.tolerant import first_index


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
    message: str = ""
    status: str | None = None
    details: list[Any] = msgspec.field(default_factory=list)


def error_of(body: object) -> ErrorBody:
    """Read an error body of any shape."""
    while isinstance(body, list) and body:  # the shape of answers without `alt=sse`
        body = body[0]
    body = innermost(body)
    if not isinstance(body, dict):
        return ErrorBody(message=words_of(body))
    code, status, details = body.get("code"), body.get("status"), body.get("details")
    return ErrorBody(
        int(code) if isinstance(code, int | str) and str(code).isdecimal() else None,
        words_of(body),
        status if isinstance(status, str) else None,
        details if isinstance(details, list) else [],
    )


def failure_of(error: ErrorBody, model: str | None, retry_after: float | None = None) -> ProviderError:
    """The `ProviderError` for an error of Gemini's. Its `code` is the HTTP status, also inside a stream."""
    status = error.code
    details = list(_details(error.details))
    kind = kind_of_status(status) if status is not None else ServerError
    # Gemini answers a bad key with 400, not with 401
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


def _details(values: list[Any]) -> list[_Detail]:
    details = []
    for value in values:
        try:
            details.append(msgspec.convert(value, _Detail))
        except msgspec.ValidationError:
            continue  # another kind of detail, with the same field names
    return details


def _seconds(duration: str | None) -> float | None:
    """A protobuf duration such as `34.07s`, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", duration or "")
    return float(match[1]) if match else None


class _FunctionCall(msgspec.Struct):
    id: Any = None
    name: Any = None
    args: msgspec.Raw = msgspec.Raw(b"null")
    """Kept as it is written: numbers that Python would write otherwise stay the same."""


class _Part(msgspec.Struct, rename="camel"):
    text: Any = None
    thought: Any = None
    function_call: _FunctionCall | None = None
    thought_signature: Any = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: Any = None
    content: _Content | None = None
    finish_reason: Any = None


class _PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: Any = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _PromptFeedback | None = None
    usage_metadata: Any = None
    error: Any = None


class GeminiDecoder(Decoder[_Chunk]):
    """Reads response chunks. The format has no last event, and text may follow a reason to finish, so the `Finish` is
    given at the end of the stream."""

    provider = NAME
    events = msgspec.json.Decoder(_Chunk)
    reasoning_beside = True
    counted = places(
        prompt="promptTokenCount",
        tools="toolUsePromptTokenCount",
        completion="candidatesTokenCount responseTokenCount",
        total="totalTokenCount",
        cached="cachedContentTokenCount",
        reasoning="thoughtsTokenCount",
    )

    def __init__(self, model: str, asked: Asked = NOTHING) -> None:
        super().__init__(model, Events(), asked)
        self._index: object = None
        """The index of the one candidate that is read: 0, unless the server numbers them otherwise."""

    def _take(self, chunk: _Chunk) -> None:
        if chunk.error and is_error(chunk.error):
            raise failure_of(error_of(chunk.error), self.model)
        if chunk.usage_metadata:
            self._count(chunk.usage_metadata)
        if chunk.candidates:
            if self._index is None:
                self._index = first_index([candidate.index for candidate in chunk.candidates])
            for candidate in chunk.candidates:
                if not candidate.index or candidate.index == self._index or candidate.index == "0":
                    self._read(candidate)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and normal(str(feedback.block_reason)) not in NONE:
            blocked = failure(
                ContentFiltered,
                f"the prompt was blocked: {feedback.block_reason}",
                provider=self.provider,
                model=self.model,
            )
            raise blocked

    def _read(self, candidate: _Candidate) -> None:
        for part in (candidate.content and candidate.content.parts) or ():
            text = part.text
            if text or text.__class__ is int:
                if part.thought:
                    self._think(text_of(text))
                else:
                    self._say(text)
            if (called := part.function_call) is not None:
                self._call(Piece(None, called.id, called.name, called.args, part.thought_signature, whole=True))
        if candidate.finish_reason:
            self._stop(candidate.finish_reason)

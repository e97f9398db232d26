"""Failures: turns a provider's HTTP status, error code and message into one of our `ProviderError`s."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from app.errors import (
    AnswerTimeout,
    AuthenticationRefused,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
    Unreachable,
)
from app.observe import event
from app.providers.registry import PROVIDERS
from app.providers.too_long import numbers, says_too_long
from app.values import ProviderName

MESSAGE_LIMIT = 200
"""Characters of the provider's message that the error's text repeats; they may quote the request."""
WORDS_LIMIT = 4000
"""Characters of the provider's message that are read."""

# Words with which a policy refuses the prompt or the reply: Azure, OpenAI, Anthropic, DashScope, DeepSeek, Z.ai and
# Moonshot send them with a plain 400, OpenRouter and xAI with a 403.
_SUBJECT = r"(content|input|output|prompt|messages?|request|response|text)"
_FILTERED = re.compile(
    rf"content (management|filter(ing)?) policy|{_SUBJECT} (was|were|is|has been) (flagged|blocked|filtered)"
    rf"|{_SUBJECT} [^.]{{0,40}}violat[^.]{{0,40}}(policy|policies|guidelines)|violating our usage policy"
    r"|safety system|inappropriate content|content exists risk|considered high risk|blocked by [^.]{0,20}guardrail"
    r"|data_?inspection|unsafe or sensitive|不安全或敏感",
    re.IGNORECASE,
)
_SAYING = ("message", "msg", "detail", "error", "errors", "title")
_WRAPPED = ("raw", "metadata", "innererror", "cause")
"""Where gateways such as OpenRouter and Azure put the error of the server behind them."""
_COUNTS = ("n_prompt_tokens", "n_ctx")
"""Fields of llama.cpp's errors, whose message does not always repeat these numbers."""
# A whole key, or a key that the provider has masked with stars.
_KEY = re.compile(r"[\w.-]*\*{2,}[\w.*-]*|\b(?=[\w-]*\d)[\w-]{16,}|\b(?:sk|pk|key|AIza)[-_][\w-]{3,}")
# The key is valid but lacks a permission.
_PERMISSION = re.compile(r"scope|permission", re.IGNORECASE)
SAY_AGAIN_SECONDS = 300.0
"""Seconds between two log lines about a refused key; otherwise every call of a busy service would log one."""
_said: dict[tuple[str, bool], float] = {}
_NO_CREDIT = re.compile(
    r"credit balance is too low|credits are depleted|spend(ing)? (cap|limit)|insufficient[ _](balance|funds|credits)"
    r"|余额不足|欠费",
    re.IGNORECASE,
)
# OpenRouter answers 402 to a request that costs more than the credit that is left; a smaller one may still be possible
_TOO_COSTLY = re.compile(r"can only afford [1-9]", re.IGNORECASE)
# LM Studio, with status 400 or 404
_MODEL_GONE = re.compile(r"model (has )?(been )?(unloaded|crashed)|no models? loaded", re.IGNORECASE)
_FINE = frozenset({"", "0", "200", "false", "none", "null", "ok", "success"})
"""Values of an error's fields that mean that there is no error."""


def kind_of_status(status: int) -> type[ProviderError]:
    """The kind of error that an HTTP status of 300 and above means when nothing more is known."""
    if status in (401, 403):
        return AuthenticationRefused
    if status == 402:
        return QuotaExhausted
    if status == 404:
        return ModelNotFound
    if status == 413:
        return ContextTooLong
    if status == 429:
        return Throttled
    # Groq: the capacity of the service tier is exhausted
    if status == 498:
        return Throttled
    # 408: the server waited too long for the request; another try is a new request. 424: TGI failed while generating.
    # 425: the server is not ready yet. 499: a gateway gave up waiting for the server behind it.
    if status in (408, 424, 425, 499) or status >= 500:
        return ServerError
    return RequestRefused


def failure(
    kind: type[ProviderError],
    message: object,
    *,
    provider: str,
    model: str | None,
    status: int | None = None,
    code: str | None = None,
    retry_after: float | None = None,
) -> ProviderError:
    """An error of `kind`, or of a more exact kind if the provider's message or its own `code` tells."""
    words = " ".join(words_of(message)[:WORDS_LIMIT].split())
    said = f"{code} {words}" if code else words
    refusal = issubclass(kind, RequestRefused | ServerError | AuthenticationRefused)
    if refusal and (status or 0) < 500 and _FILTERED.search(said):
        kind = ContentFiltered
    elif issubclass(kind, RequestRefused | ServerError | Throttled | QuotaExhausted) and says_too_long(
        said,
        # an error inside a stream has no status
        status or (429 if issubclass(kind, Throttled) else None),
    ):
        kind = ContextTooLong
    if issubclass(kind, RequestRefused | Throttled | ServerError) and _NO_CREDIT.search(words):
        kind = QuotaExhausted
    elif kind is QuotaExhausted and _TOO_COSTLY.search(words):
        kind = RequestRefused
    elif kind in (RequestRefused, ModelNotFound) and _MODEL_GONE.search(words):
        kind = ServerError
    if kind is AuthenticationRefused:
        return key_refused(words, provider=provider, model=model, status=status, code=code)
    name = " ".join(str(part) for part in (status, code) if part)
    text = f"{name}: {words}" if name and words else name or words or "no reason given"
    error = kind(text[:MESSAGE_LIMIT], provider=provider, model=model, status=status, retry_after=retry_after)
    error.words = said
    if isinstance(error, ContextTooLong):
        error.limit, error.counted = numbers(words)
    return error


def is_error(value: object) -> bool:
    """Whether the `error` field of an event or answer is a real error: some servers always send an empty one."""
    if isinstance(value, dict):
        return any(map(is_error, value.values()))
    if isinstance(value, str | int):
        return str(value).strip().lower() not in _FINE
    return bool(value)


def innermost(body: object) -> object:
    """The innermost object of an error body: gateways put the `error` of a server into one of their own."""
    while isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return body


def words_of(body: object) -> str:
    """The message of an error body of any shape: OpenAI's object, a plain text, FastAPI's list of fields, or nested."""
    if isinstance(body, dict):
        said = next((body[name] for name in _SAYING if body.get(name)), None)
        if said is None:
            return json.dumps(body, ensure_ascii=False) if body else ""
        where = body.get("loc") or body.get("param")
        path = ".".join(map(str, where)) if isinstance(where, list) else words_of(where)
        counts = [f"{name}: {body[name]}" for name in _COUNTS if isinstance(body.get(name), int)]
        return ": ".join(filter(None, (path, words_of(said), *counts, _wrapped(body))))
    if isinstance(body, list):
        return "; ".join(map(words_of, body))
    return "" if body is None or isinstance(body, bool) else str(body)


def _wrapped(body: dict[str, Any]) -> str:
    """The message of the error that a gateway passes on inside its own, or ""."""
    for value in map(body.get, _WRAPPED):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return value
        if isinstance(value, list) and value:  # Google's
            value = value[0]
        if isinstance(value, dict):
            words = words_of(value) if any(map(value.get, _SAYING)) else _wrapped(value)
            if words:
                return words
    return ""


def key_refused(
    words: str, *, provider: str, model: str | None, status: int | None, code: str | None
) -> AuthenticationRefused:
    """The error for a refused key. It is logged here, for every kind of call, and its text leaves the provider's
    message out, because that may quote the key."""
    error = AuthenticationRefused(
        f"{' '.join(str(part) for part in (status, code) if part)}: the key was refused".removeprefix(": "),
        provider=provider,
        model=model,
        status=status,
    )
    error.wrong = status != 403 and not _PERMISSION.search(words)
    # only the message about a list of models is logged: other calls hold a user's text, which their message may quote
    shown = without_keys(words)[:MESSAGE_LIMIT] if model is None else None
    now, what = time.monotonic(), (provider, shown is not None)
    if now - _said.get(what, float("-inf")) > SAY_AGAIN_SECONDS:
        _said[what] = now
        setting = PROVIDERS[ProviderName(provider)].enabled_by if provider in PROVIDERS else None
        name = setting.name if setting is not None else None
        event("provider.key_refused", provider=provider, setting=name, status=status, words=shown)
    return error


def without_keys(words: str) -> str:
    """`words` without what looks like a key: masked with stars, or a long run of letters and digits."""
    return _KEY.sub("[key]", words)


def unreachable(exc: Exception, *, provider: str, model: str | None) -> Unreachable:
    """The error for a failed connection. The SDKs' own errors have the original one as their cause."""
    cause = exc.__cause__ or exc
    words = " ".join(f"{type(cause).__name__}: {cause}".split())
    # asyncio's own `TimeoutError` comes from our deadline for an answer; the transports have their own types
    kind = AnswerTimeout if type(exc) is TimeoutError else Unreachable
    error = kind(words[:MESSAGE_LIMIT], provider=provider, model=model)
    # httpx and httpx2 have each their own of these
    error.sent = type(cause).__name__ not in ("ConnectError", "ConnectTimeout", "PoolTimeout")
    return error


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None when absent or unreadable.

    `now` is the time as seconds since the epoch. https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _seconds(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None

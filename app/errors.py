"""All errors of Parley, one closed tree.

AppError                        an error for the client: a status, a stable code, a sentence
├── InvalidRequest              422 invalid_request; 400 for a body that cannot be read, 415 for its media type
│   ├── IdempotencyMismatch     422 idempotency_mismatch
│   ├── ContentFlagged          422 content_flagged
│   ├── ParameterUnsupported    422 invalid_request: no model that could answer has a parameter of the request
│   ├── PromptTooLong           422 invalid_request: the request does not fit any model that could answer
│   ├── UnknownModel            422 invalid_request: nothing that the caller may ask has this name
│   └── PayloadTooLarge         413 payload_too_large
├── Unauthenticated             401 unauthenticated
├── BudgetExceeded              402 budget_exceeded
├── PremiumRequired             403 premium_required
├── LimitReached                403 limit_reached
├── NotFound                    404 not_found
├── Conflict                    409 conflict
├── RateLimited                 429 rate_limited
└── Unavailable                 503, each with Retry-After
    ├── ProviderUnavailable     provider_unavailable
    ├── NoProviderConfigured    no_provider_configured
    ├── ModerationOff           moderation_off
    ├── SupabaseUnavailable     supabase_unavailable
    │   └── SupabaseRefused     the same code: Supabase answers, but refuses our settings
    ├── Draining                draining
    └── Interrupted             interrupted: only the end of a reply whose writer stopped

ProviderError                   a failure of a provider; never shown to a client
├── Unreachable                 connect failed or timed out, connection lost before the answer began
│   └── AnswerTimeout           connected, but an answer that is not streamed took too long
├── Silent                      no sign of life within a deadline
│   ├── FirstSignTimeout        nothing came at all, or nothing after the headers
│   ├── FirstTokenTimeout       signs of life came, but no text in time
│   └── Stalled                 text came, then nothing more
├── ReplyTimeout                the whole reply took too long
├── EmptyReply                  the reply ended without usable text, and not because of its length limit
├── ServerError                 5xx, 529, an "overloaded" or internal error inside a 200 stream
├── BrokenStream                the stream ended without a finish reason, or could not be decoded
├── Throttled                   429 that may succeed after a wait
├── QuotaExhausted              429 that no retry can change: spend cap, daily quota, no credit
├── AuthenticationRefused       401, 403: our key is wrong or lacks a permission
├── ModelNotFound               404
├── RequestRefused              400, 422: the provider does not accept this request
│   ├── ContextTooLong          the prompt, or the prompt with its reply, does not fit the model
│   ├── ParameterRefused        the model or the provider's API lacks a parameter of the request, such as `tools`
│   └── VectorsTooWide          the embedding model's vectors have more numbers than the database stores
└── ContentFiltered             the provider refused for policy reasons, before or inside the stream
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from msgspec import UNSET, structs

from app.values import Problem, Quota, Usage

REFUSED_SECONDS = 10
"""`Retry-After` of a refusal by Supabase. Every readiness probe asks Supabase again."""

BreakerEffect = Literal["failure", "neutral", "cooldown"]


class AppError(Exception):
    """An error that is shown to a client. `detail` is safe to show: no key, no stack trace, no data of other users."""

    status: int = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong"
    again_after: ClassVar[float | None] = None
    """Seconds after which the same request may succeed, where nobody says it better."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        if status is not None:
            self.status = status
        self.retry_after = self.again_after if retry_after is None else retry_after
        """Seconds after which the same request may succeed; becomes the `Retry-After` header."""
        self.quotas: Mapping[str, Quota] = {}
        """The limits that refused the request, by name; become the `RateLimit` headers."""

    def problem(self, request_id: str | None = None) -> Problem:
        """The problem that a client is shown. `request_id` is that of the request that met it."""
        return Problem(
            type=f"urn:parley:problem:{self.code}",
            title=self.title,
            status=self.status,
            code=self.code,
            detail=UNSET if self.detail is None else self.detail,
            request_id=request_id or UNSET,
        )


class InvalidRequest(AppError):
    status = 422
    code = "invalid_request"
    title = "The request is not valid"


class IdempotencyMismatch(InvalidRequest):
    status = 422
    code = "idempotency_mismatch"
    title = "This Idempotency-Key was used with another request"


class ContentFlagged(InvalidRequest):
    status = 422
    code = "content_flagged"
    title = "Moderation refused this text"

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        categories: Sequence[str] = (),
    ) -> None:
        """`categories` are those for which the text was flagged; empty when they are not known."""
        super().__init__(detail, status=status, retry_after=retry_after)
        self.categories = tuple(categories)

    def problem(self, request_id: str | None = None) -> Problem:
        return structs.replace(super().problem(request_id), categories=self.categories or UNSET)


class ParameterUnsupported(InvalidRequest):
    """`parameter` is the name of the request's parameter, as OpenAI's API names it."""

    def __init__(self, detail: str, *, parameter: str) -> None:
        super().__init__(detail)
        self.parameter = parameter


class PromptTooLong(InvalidRequest):
    pass


class UnknownModel(InvalidRequest):
    pass


class PayloadTooLarge(InvalidRequest):
    status = 413
    code = "payload_too_large"
    title = "The request is too large"


class Unauthenticated(AppError):
    status = 401
    code = "unauthenticated"
    title = "A valid access token is required"


class BudgetExceeded(AppError):
    status = 402
    code = "budget_exceeded"
    title = "This month's budget is used up"


class PremiumRequired(AppError):
    status = 403
    code = "premium_required"
    title = "This needs a premium plan"


class LimitReached(AppError):
    """A user has as much as their plan holds. No waiting helps, only deleting or another plan."""

    status = 403
    code = "limit_reached"
    title = "This plan holds no more"


class NotFound(AppError):
    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(AppError):
    status = 409
    code = "conflict"
    title = "The request conflicts with the current state"


class RateLimited(AppError):
    status = 429
    code = "rate_limited"
    again_after = 1.0
    title = "Too many requests"


class Unavailable(AppError):
    status = 503


class ProviderUnavailable(Unavailable):
    code = "provider_unavailable"
    title = "No AI provider can answer right now"
    again_after = 5.0


class NoProviderConfigured(Unavailable):
    code = "no_provider_configured"
    title = "No AI provider is configured"


class ModerationOff(Unavailable):
    code = "moderation_off"
    title = "Moderation is off"


class SupabaseUnavailable(Unavailable):
    code = "supabase_unavailable"
    title = "The database cannot be reached right now"
    again_after = 2.0


class SupabaseRefused(SupabaseUnavailable):
    """Supabase refuses a setting. Retrying does not help until somebody changes a setting, a key or the project. The
    detail names the setting and what refused it; it is safe to show."""

    title = "Supabase does not accept this server's settings"

    def __init__(self, detail: str, *, setting: str) -> None:
        super().__init__(detail, retry_after=REFUSED_SECONDS)
        self.setting = setting
        """The name of the setting, such as SUPABASE_SECRET_KEY."""


class Draining(Unavailable):
    code = "draining"
    title = "This server is shutting down; send the request again"
    again_after = 1.0


class Interrupted(Unavailable):
    code = "interrupted"
    title = "The reply was interrupted; the text so far is kept"
    again_after = 1.0


ERRORS: dict[str, type[AppError]] = {
    error.code: error
    for error in (
        AppError,
        InvalidRequest,
        IdempotencyMismatch,
        ContentFlagged,
        PayloadTooLarge,
        Unauthenticated,
        BudgetExceeded,
        PremiumRequired,
        LimitReached,
        NotFound,
        Conflict,
        RateLimited,
        ProviderUnavailable,
        NoProviderConfigured,
        ModerationOff,
        SupabaseUnavailable,
        Draining,
        Interrupted,
    )
}
"""Every error by its code. Failed replies are stored with the code, and our database functions raise it."""


class ProviderError(Exception):
    """A failure of a provider. The message may repeat the provider's own text, so it is never shown to clients.

    `retryable`: whether another call to the same candidate may succeed. `breaker`: the effect on the circuit breaker.
    `retry_after`: the seconds that the provider named, if any.
    """

    retryable: ClassVar[bool] = False
    breaker: ClassVar[BreakerEffect] = "neutral"
    words: str = ""
    """The start of the provider's message, used to classify the failure. It may quote the request: never log it."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        model: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after = retry_after
        self.sent = True
        """Whether the provider may have read the request, and so charge for it."""


class Unreachable(ProviderError):
    retryable = True
    breaker = "failure"


class AnswerTimeout(Unreachable):
    pass


class Silent(ProviderError):
    """No sign of life within a deadline. It counts for the breaker only if no other call of the model showed any."""

    retryable = True
    breaker: ClassVar[BreakerEffect] = "failure"


class FirstSignTimeout(Silent):
    pass


class FirstTokenTimeout(Silent):
    # the provider works, and this reply takes long
    breaker = "neutral"


class Stalled(Silent):
    pass


class ReplyTimeout(ProviderError):
    pass


class EmptyReply(ProviderError):
    pass


class ServerError(ProviderError):
    retryable = True
    breaker = "failure"


class BrokenStream(ProviderError):
    retryable = True
    breaker = "failure"


class Throttled(ProviderError):
    retryable = True
    breaker = "cooldown"


class QuotaExhausted(ProviderError):
    breaker = "cooldown"


class AuthenticationRefused(ProviderError):
    wrong: bool = False
    """Whether the key itself is wrong, not only its use for this call."""


class ModelNotFound(ProviderError):
    pass


class RequestRefused(ProviderError):
    pass


class ContextTooLong(RequestRefused):
    limit: int | None = None
    """The most tokens that the provider accepts, if it named them."""
    counted: int | None = None
    """The tokens that it counted in the request, if it named them; with or without those of the reply."""


class ParameterRefused(RequestRefused):
    parameter: str = ""
    """The name of the parameter, as OpenAI's API names it."""


class VectorsTooWide(RequestRefused):
    pass


class ContentFiltered(ProviderError):
    usage: Usage | None = None
    """The usage until the reply was cut off, if the provider reported it."""

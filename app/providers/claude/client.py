"""Anthropic's official SDK: makes its client and translates its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anthropic
from anthropic import AsyncAnthropic

from app.errors import RequestRefused
from app.providers.base_url import BaseUrl
from app.providers.claude.description import API_KEY, BASE_URL, NAME
from app.providers.claude.wire import error_of, failure_of
from app.providers.description import Configuration
from app.providers.failures import failure, retry_after, unreachable
from app.providers.transport import TRANSPORT_ERRORS, sdk_client

APPENDED = ("/v1/messages", "/v1")
"""Endings of a base URL that are removed, because the SDK appends them itself."""


def make_client(configuration: Configuration) -> AsyncAnthropic:
    """Anthropic's SDK without its retries and timeouts."""
    base = BaseUrl.parse(configuration.required(BASE_URL)).without(APPENDED)
    return AsyncAnthropic(
        api_key=configuration.required(API_KEY),
        base_url=base.url,
        max_retries=0,
        http_client=sdk_client(configuration.connect_timeout, base.query),
    )


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except anthropic.APIStatusError as exc:
        wait = retry_after(exc.response.headers)
        raise failure_of(error_of(exc.body), model, exc.status_code, wait) from exc
    except (anthropic.APIConnectionError, *TRANSPORT_ERRORS) as exc:
        raise unreachable(exc, provider=NAME, model=model) from exc
    except anthropic.AnthropicError as exc:
        raise failure(RequestRefused, exc, provider=NAME, model=model) from exc

"""The environment, read once into one frozen object. A missing or malformed setting stops the start and is named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values

from app.messages import ProviderName

Seconds = Annotated[float, msgspec.Meta(ge=0.01, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
# far below the lease of a reply, which each write renews
JournalMilliseconds = Annotated[int, msgspec.Meta(ge=50, le=5000)]


class SettingsError(Exception):
    """A required setting is missing or malformed. The message is one line that names it."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """Every setting, under its environment name in upper case. `.env.example` explains each."""

    supabase_url: str
    supabase_publishable_key: str
    supabase_secret_key: str
    supabase_jwt_secret: str | None = None

    openai_api_key: str | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str | None = None
    google_ai_api_key: str | None = None
    google_ai_base_url: str | None = None
    gemini_model: str | None = None
    anthropic_api_key: str | None = None
    anthropic_base_url: str | None = None
    claude_model: str | None = None
    ollama_base_url: str | None = None
    ollama_model: str | None = None
    default_ai_provider: ProviderName | None = None
    embedding_model: str = "text-embedding-3-small"

    enable_rag: bool = True
    search_threshold: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 0.7
    document_max_bytes: Annotated[int, msgspec.Meta(ge=1, le=104_857_600)] = 10_485_760
    document_max_passages: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 2000

    redis_url: str | None = None

    connect_timeout_seconds: Seconds = 5
    first_token_timeout_seconds: Seconds = 20
    token_gap_timeout_seconds: Seconds = 15
    reply_timeout_seconds: Seconds = 300

    require_premium: bool = True
    rate_limit_requests_per_minute: Count = 60
    rate_limit_tokens_per_minute: Count = 100_000
    rate_limit_unauthenticated_per_minute: Count = 300
    moderation: Literal["openai", "off"] = "off"
    moderation_fail: Literal["open", "closed"] = "open"
    moderation_output: bool = False

    journal_interval_ms: JournalMilliseconds = 500

    cors_allow_origins: tuple[str, ...] = ()
    forwarded_allow_ips: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    parley_host: str = "127.0.0.1"
    parley_port: Port = 8000


PROVIDER_SETTINGS: dict[ProviderName, tuple[str, ...]] = {
    "openai": ("openai_api_key", "openai_model", "openai_base_url"),
    "gemini": ("google_ai_api_key", "gemini_model", "google_ai_base_url"),
    "claude": ("anthropic_api_key", "claude_model", "anthropic_base_url"),
    "ollama": ("ollama_base_url", "ollama_model"),
}
"""The field without which a provider is not configured, the one that names its model, and others that only it uses."""

LEGACY_NAMES = {"SUPABASE_ANON_KEY": "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SERVICE_ROLE_KEY": "SUPABASE_SECRET_KEY"}
PROJECT_SETTINGS = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", *LEGACY_NAMES)
URL_SETTINGS = ("SUPABASE_URL", "OPENAI_BASE_URL", "GOOGLE_AI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_BASE_URL")
KEY_SETTINGS = (
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_SECRET_KEY",
    "OPENAI_API_KEY",
    "GOOGLE_AI_API_KEY",
    "ANTHROPIC_API_KEY",
)
"""Sent in a header, which holds printable ASCII. A pasted `…`, quotation mark or line break would fail every call."""


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `environ`. An empty value counts as not set. Raises `SettingsError`."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    values: dict[str, object] = {}
    for legacy, name in LEGACY_NAMES.items():
        if legacy_value := environ.get(legacy, "").strip():
            values[name] = legacy_value
    for name, field in fields.items():
        text = environ.get(name, "").strip()
        if text:
            is_list = field.type == tuple[str, ...]
            values[name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
        elif field.required and name not in values:
            raise SettingsError(f"{name} is not set; see .env.example")
    for name in URL_SETTINGS:
        if (url := values.get(name)) is not None and not is_web_address(str(url)):
            raise SettingsError(f"{name} must be an http:// or https:// address")
    if (url := values.get("REDIS_URL")) is not None and not _is_url(str(url), ("redis", "rediss")):
        raise SettingsError("REDIS_URL must be a redis:// or rediss:// address")
    for name in KEY_SETTINGS:
        if (key := values.get(name)) is not None and not fits_a_header(str(key)):
            raise SettingsError(f"{name} holds a character that no key has")
    for name, value in values.items():
        field = fields[name]
        try:
            values[name] = msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError:
            # the value itself is not repeated: it may be a key
            raise SettingsError(f"{name} is malformed: expected {_expected(field)}") from None
    if values.get("MODERATION") == "openai" and "OPENAI_API_KEY" not in values:
        raise SettingsError("OPENAI_API_KEY is not set, and MODERATION=openai needs it")
    return msgspec.convert(values, Settings)


def without_effect(settings: Settings) -> tuple[str, ...]:
    """A line for each setting that was set in vain, since another one that it needs is not set; it names both."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    chosen = settings.default_ai_provider
    lines = []
    for provider, (needed, *others) in PROVIDER_SETTINGS.items():
        if getattr(settings, needed) is not None:
            if chosen == "demo":
                lines.append(f"DEFAULT_AI_PROVIDER=demo has no effect: {needed.upper()} is set")
            continue
        names = [name.upper() for name in others if getattr(settings, name) != defaults[name]]
        if chosen == provider:
            names.append(f"DEFAULT_AI_PROVIDER={provider}")
        lines += [f"{name} has no effect: {needed.upper()} is not set" for name in names]
    return tuple(lines)


def running_stack(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What `make run` has written for the programs beside it; empty where it does not run."""
    path = Path(environ.get("PARLEY_DATA") or ".parley") / "env"
    return {name: value for name, value in dotenv_values(path).items() if value}


def with_running_stack(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The settings of a program beside the service: `environ` without its empty values, over what `make run` has
    written. A project is one whole: where `environ` names a part of one, nothing of the other is taken."""
    given = {name: value for name, value in environ.items() if value.strip()}
    return given if any(name in given for name in PROJECT_SETTINGS) else running_stack(environ) | given


def is_web_address(text: str) -> bool:
    """Whether `text` is an http:// or https:// address."""
    return _is_url(text, ("http", "https"))


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port  # raises as well, for one that is no port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and port != 0 and fits_a_header(text) and " " not in text


def fits_a_header(text: str) -> bool:
    """Whether `text` is printable ASCII."""
    return text.isascii() and text.isprintable()


def _expected(field: msgspec.structs.FieldInfo) -> str:
    if field.name == "default_ai_provider":
        return "one of " + ", ".join(get_args(ProviderName))
    if get_origin(field.type) is Literal:
        return "one of " + ", ".join(get_args(field.type))
    if field.type is bool:
        return "true or false"
    kind, limits = get_args(field.type)
    number = "whole number" if kind is int else "number"
    return f"a {number} from {limits.ge} to {limits.le}"

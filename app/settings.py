"""Settings: the environment, read once into a frozen object. A missing or malformed setting ends the start by name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values

from app.project_keys import complaint
from app.providers.base_url import BadBaseUrl, BaseUrl
from app.providers.description import Configuration
from app.providers.registry import PROVIDERS
from app.values import ProviderName

Seconds = Annotated[float, msgspec.Meta(ge=0.01, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
# much shorter than the lease of a reply, which each write renews
JournalMilliseconds = Annotated[int, msgspec.Meta(ge=50, le=5000)]

# A smaller context cannot hold a question and its answer; no model has a larger one.
ContextTokens = Annotated[int, msgspec.Meta(ge=256, le=100_000_000)]


OFF = "off"
MAX_SYSTEM_PROMPT_CHARACTERS = 32_000


class SettingsError(Exception):
    """A required setting is missing or malformed. The message is one line that names it."""


class NotSet(SettingsError):
    """A required setting is missing."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """All settings. Each one's environment name is in upper case; `.env.example` explains it."""

    supabase_url: str
    supabase_publishable_key: str
    supabase_secret_key: str
    supabase_jwt_secret: str | None = None

    provider_values: Mapping[str, str] = {}
    """The settings that the providers describe, by their environment names; only those that are set."""
    default_ai_provider: ProviderName | None = None
    embedding_model: str = "text-embedding-3-small"

    enable_rag: bool = True
    search_threshold: Annotated[float, msgspec.Meta(ge=-1, le=1)] = 0.7
    document_max_bytes: Annotated[int, msgspec.Meta(ge=1, le=104_857_600)] = 10_485_760
    document_max_passages: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 2000
    document_read_seconds: Annotated[int, msgspec.Meta(ge=2, le=300)] = 20

    redis_url: str | None = None

    connect_timeout_seconds: Seconds = 5
    first_sign_timeout_seconds: Seconds | None = None
    first_token_timeout_seconds: Seconds | None = None
    token_gap_timeout_seconds: Seconds | None = None
    reply_timeout_seconds: Seconds = 1200

    model_context_tokens: Mapping[tuple[ProviderName, str], int] | None = None
    """The contexts of models, in tokens, by provider and model."""

    require_premium: bool = True
    rate_limit_requests_per_minute: Count = 60
    rate_limit_tokens_per_minute: Count = 100_000
    rate_limit_unauthenticated_per_minute: Count = 300
    moderation: str = OFF
    """The provider that moderates, or `off`."""
    moderation_fail: Literal["open", "closed"] = "open"
    moderation_output: bool = False

    system_prompt: str | None = None
    """What the operator wants of every reply; of `SYSTEM_PROMPT_FILE`, its text."""
    system_prompt_file: str | None = None
    titles: Literal["auto", "off"] = "auto"

    journal_interval_ms: JournalMilliseconds = 500

    cors_allow_origins: tuple[str, ...] = ()
    forwarded_allow_ips: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    parley_host: str = "127.0.0.1"
    parley_port: Port = 8000
    metrics_port: Port | None = None
    """Where Prometheus collects the metrics of this process; None: nowhere."""
    metrics_host: str = "127.0.0.1"
    web: Literal["on", "off"] = "on"
    """Whether the API serves the web client at `/`."""

    @property
    def providers(self) -> Configuration:
        """The providers' part of the settings."""
        return Configuration(self.provider_values, self.connect_timeout_seconds, self.model_context_tokens or {})

    @property
    def every_proxy_is_trusted(self) -> bool:
        """Whether `forwarded_allow_ips` is `*`, or has a network that is all addresses."""
        return any(one == "*" or ip_network(one).prefixlen == 0 for one in self.forwarded_allow_ips)


FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Settings) if field.name != "provider_values"}
"""The settings that are not a provider's own, by their names."""
LEGACY_NAMES = {"SUPABASE_ANON_KEY": "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SERVICE_ROLE_KEY": "SUPABASE_SECRET_KEY"}
PROJECT_SETTINGS = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", *LEGACY_NAMES)
SUPABASE_PATHS = ("/auth/v1", "/realtime/v1", "/rest/v1", "/storage/v1")
"""Paths of a project's services. The dashboard shows their addresses too, so one may be set as `SUPABASE_URL`."""
ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/?#@,]+")
"""An `Origin` header as browsers send it. A star stands for any text in the host, and after a colon for any port."""


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `environ`. An empty value counts as not set. Raises `SettingsError`."""
    texts = {name: text for name in (*FIELDS, *PROVIDERS.settings) if (text := environ.get(name, "").strip())}
    for legacy, name in LEGACY_NAMES.items():
        if text := environ.get(legacy, "").strip():
            texts.setdefault(name, text)
    for name, field in FIELDS.items():
        if field.required and name not in texts:
            raise NotSet(f"{name} is not set; see .env.example")
    for name in texts:
        if name in settings_of_kind("url"):
            texts[name] = base_url(name, texts[name])
        if name in settings_of_kind("key") and not fits_a_key(texts[name]):
            raise SettingsError(f"{name} has a character that no key can have: it must be ASCII without blanks")
    if (wrong := complaint(*(texts[name] for name, field in FIELDS.items() if field.required))) is not None:
        raise SettingsError(wrong)
    if (url := texts.get("REDIS_URL")) is not None and not _is_redis_url(url):
        raise SettingsError("REDIS_URL must be a redis:// or rediss:// address")
    values: dict[str, object] = {name: _value(FIELDS[name], text) for name, text in texts.items() if name in FIELDS}
    if (path := texts.get("SYSTEM_PROMPT_FILE")) is not None:
        if "SYSTEM_PROMPT" in texts:
            raise SettingsError("SYSTEM_PROMPT and SYSTEM_PROMPT_FILE are both set; set one of them")
        values["SYSTEM_PROMPT"] = _text_of_file("SYSTEM_PROMPT_FILE", path)
    elif "SYSTEM_PROMPT" in texts:
        _require_prompt("SYSTEM_PROMPT", texts["SYSTEM_PROMPT"])
    values["PROVIDER_VALUES"] = {name: text for name, text in texts.items() if name in PROVIDERS.settings}
    settings = msgspec.convert(values, Settings)
    if settings.metrics_port == settings.parley_port:
        raise SettingsError(f"METRICS_PORT and PARLEY_PORT are both {settings.parley_port}: the metrics need their own")
    if settings.moderation != OFF:
        moderator = PROVIDERS[ProviderName(settings.moderation)]
        if moderator.enabled_by is not None and not moderator.is_configured(settings.providers):
            raise SettingsError(f"{moderator.enabled_by.name} is not set, and MODERATION={moderator.name} needs it")
    return settings


def settings_of_kind(kind: Literal["key", "url"]) -> tuple[str, ...]:
    """The names of the settings that hold a key, which is sent in a header, or a base URL."""
    ours = {"key": ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"), "url": ("SUPABASE_URL",)}
    return (*ours[kind], *(setting.name for setting in PROVIDERS.settings.values() if setting.kind == kind))


def choices(name: str) -> tuple[str, ...]:
    """The allowed values of a setting for which the registry of providers decides them; empty for other settings."""
    known = {"DEFAULT_AI_PROVIDER": PROVIDERS.names, "MODERATION": (*PROVIDERS.moderators, OFF)}
    return known.get(name, ())


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The values that must not appear in a log."""
    ours = (settings.supabase_publishable_key, settings.supabase_secret_key, settings.supabase_jwt_secret)
    values = settings.provider_values
    theirs = (values.get(name) for name in settings_of_kind("key"))
    return tuple(value for value in (*ours, *theirs) if value)


def without_effect(settings: Settings) -> tuple[str, ...]:
    """A line for each setting that has no effect because of another one; the line names both."""
    chosen, configuration = settings.default_ai_provider, settings.providers
    stands_in = chosen is not None and PROVIDERS[chosen].stand_in
    contexts = settings.model_context_tokens or {}
    lines = []
    for provider in PROVIDERS:
        if (needed := provider.enabled_by) is None:
            continue
        if provider.is_configured(configuration):
            if stands_in:
                lines.append(f"DEFAULT_AI_PROVIDER={chosen} has no effect: {needed.name} is set")
            continue
        given = configuration.values
        names = [one.name for one in provider.settings if given.get(one.name, one.default) != one.default]
        names += [f"MODEL_CONTEXT_TOKENS={provider.name}/…" for name, _ in contexts if name == provider.name][:1]
        if chosen == provider.name:
            names.append(f"DEFAULT_AI_PROVIDER={chosen}")
        lines += [f"{name} has no effect: {needed.name} is not set" for name in names]
    return tuple(lines)


def running_stack(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The addresses and keys that `make run` has written for other programs; empty when it has written none."""
    return {name: value for name, value in dotenv_values(_file_of_stack(environ)).items() if value}


def with_running_stack(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The settings for a command line program: `environ` without its empty values, over what `make run` has written.
    If `environ` has any setting of a project, nothing that `make run` has written is used."""
    given = {name: value for name, value in environ.items() if value.strip()}
    return given if _names_a_project(given) else running_stack(environ) | given


def where_looked(environ: Mapping[str, str] = os.environ) -> str:
    """For the message of such a program about a missing setting: which file it read, or why not."""
    file = _file_of_stack(environ)
    if _names_a_project(environ):
        return f"the environment names a project, so {file} is not read"
    return f"{file}, which `make run` writes, {'does not name it' if file.exists() else 'is not there'}"


def whose_address(environ: Mapping[str, str] = os.environ) -> str:
    """For the message of such a program about an address that does not answer: where the address comes from."""
    file = _file_of_stack(environ)
    if _names_a_project(environ) or not file.exists():
        return "SUPABASE_URL is set in the environment"
    return f"the address is that of {file}: is `make run` running?"


def _file_of_stack(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("PARLEY_DATA") or ".parley").absolute() / "env"


def _names_a_project(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name, "").strip() for name in PROJECT_SETTINGS)


def base_url(name: str, text: str) -> str:
    """The normal form of the base URL in the setting `name`. Raises `SettingsError`."""
    try:
        base = BaseUrl.parse(text)
        if base.query and name not in PROVIDERS.settings:
            raise BadBaseUrl("not have a query (?…)")
        if name == "SUPABASE_URL" and (project := base.without(SUPABASE_PATHS)) != base:
            raise BadBaseUrl(f"be the project's address alone: {project}")
    except BadBaseUrl as error:
        raise SettingsError(f"{name} must {error}") from None
    return str(base)


def fits_a_header(text: str) -> bool:
    """Whether `text` is printable ASCII."""
    return text.isascii() and text.isprintable()


def fits_a_key(text: str) -> bool:
    """Whether `text` is printable ASCII without blanks."""
    return fits_a_header(text) and " " not in text


def _value(field: msgspec.structs.FieldInfo, text: str) -> object:
    """The value that `text` stands for. Raises `SettingsError`, which does not repeat the text, as it may be a key."""
    allowed = choices(field.encode_name)
    if field.name == "model_context_tokens":
        return _contexts(field.encode_name, text)
    if field.type == tuple[str, ...]:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if field.name == "forwarded_allow_ips":
            _require_addresses(field.encode_name, parts)
        return [_origin(part) for part in parts] if field.name == "cors_allow_origins" else parts
    try:
        return msgspec.convert(text, Literal[allowed] if allowed else field.type, strict=False)
    except msgspec.ValidationError:
        raise SettingsError(f"{field.encode_name} is malformed: expected {_expected(field)}") from None


def _text_of_file(name: str, path: str) -> str:
    """The text of the file that the setting `name` names. Raises `SettingsError`, which does not repeat it."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            text = file.read(MAX_SYSTEM_PROMPT_CHARACTERS + 1_000).strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name} must be a file of UTF-8 text that can be read ({type(error).__name__})") from None
    _require_prompt(name, text)
    return text


def _require_prompt(name: str, text: str) -> None:
    if not text or len(text) > MAX_SYSTEM_PROMPT_CHARACTERS or "\0" in text:
        raise SettingsError(f"{name} must be text of 1 to {MAX_SYSTEM_PROMPT_CHARACTERS} characters")


def _origin(text: str) -> str:
    """The origin in the form that browsers send: without a path, in lower case. Raises `SettingsError`."""
    origin = text.rstrip("/").lower()
    if not ORIGIN.fullmatch(origin):
        raise SettingsError("CORS_ALLOW_ORIGINS must be origins such as https://app.example.com, separated by commas")
    return origin


def _require_addresses(name: str, parts: list[str]) -> None:
    """Refuse what is neither address nor network: uvicorn takes it for the name of a client, and then trusts nobody."""
    for part in parts if parts != ["*"] else ():
        try:
            ip_network(part)
        except ValueError:
            expected = "addresses (10.0.0.7) or networks (10.0.0.0/8), separated by commas, or * alone"
            raise SettingsError(f"{name} must be {expected}") from None


def _contexts(name: str, text: str) -> dict[tuple[ProviderName, str], int]:
    """Parse a text such as `openai/llama-3=8192,ollama/qwen3:8b=4096`. A model's name may have slashes. Raises
    `SettingsError`."""
    contexts: dict[tuple[ProviderName, str], int] = {}
    for number, entry in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        named, _, size = entry.rpartition("=")
        provider, _, model = (part.strip() for part in named.partition("/"))
        if provider not in PROVIDERS or not model:
            expected = f"PROVIDER/MODEL=TOKENS with one of the providers {', '.join(PROVIDERS.names)}"
            raise SettingsError(f"{name} is malformed: expected {expected} (entry {number})")
        key = ProviderName(provider), PROVIDERS[ProviderName(provider)].bare(model)
        if key in contexts:
            raise SettingsError(f"{name} names a model twice (entry {number})")
        try:
            contexts[key] = msgspec.convert(size.strip(), ContextTokens, strict=False)
        except msgspec.ValidationError:
            limits = get_args(ContextTokens)[1]
            expected = f"a whole number of tokens from {limits.ge} to {limits.le}"
            raise SettingsError(f"{name} is malformed: expected {expected} (entry {number})") from None
    return contexts


def _is_redis_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port  # raises ValueError for a port that is not valid
    except ValueError:
        return False
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and port != 0 and fits_a_key(text)


def _expected(field: msgspec.structs.FieldInfo) -> str:
    if allowed := choices(field.encode_name) or (get_args(field.type) if get_origin(field.type) is Literal else ()):
        return "one of " + ", ".join(allowed)
    if field.type is bool:
        return "true or false"
    # for an optional setting, the type that it has when it is set
    kind, limits = get_args(next((kind for kind in get_args(field.type) if get_args(kind)), field.type))
    number = "whole number" if kind is int else "number"
    return f"a {number} from {limits.ge} to {limits.le}"

"""The environment: what is read, what stops a start, and that `.env.example` tells all of it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.providers.registry import PROVIDERS
from app.settings import (
    FIELDS,
    LEGACY_NAMES,
    SettingsError,
    choices,
    load_settings,
    settings_of_kind,
    without_effect,
)
from tests.support.required_settings import REQUIRED

ROOT = Path(__file__).parent.parent
NAMES = {*FIELDS, *PROVIDERS.settings}


PROMISED = {
    "SUPABASE_URL",
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_JWT_SECRET",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
    "GOOGLE_AI_API_KEY",
    "GOOGLE_AI_BASE_URL",
    "GEMINI_MODEL",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_MODEL",
    "OLLAMA_BASE_URL",
    "OLLAMA_MODEL",
    "DEFAULT_AI_PROVIDER",
    "ENABLE_RAG",
    "EMBEDDING_MODEL",
    "MODERATION",
    "MODERATION_FAIL",
    "REQUIRE_PREMIUM",
    "RATE_LIMIT_REQUESTS_PER_MINUTE",
    "RATE_LIMIT_TOKENS_PER_MINUTE",
    "CORS_ALLOW_ORIGINS",
    "PARLEY_PORT",
}
"""Names that other people's deployments set: they are not renamed."""
SECRET = "sk-do-not-print-me"


def described() -> dict[str, str | None]:
    """Every setting of `.env.example` with its value, None where there is none."""
    lines = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(lines) == len({name for name, _ in lines}), "a setting is listed twice"
    return {name: value or None for name, value in lines}


# ── .env.example ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_is_described() -> None:
    assert not NAMES - set(described())


def test_everything_described_is_a_setting() -> None:
    assert not set(described()) - NAMES


def test_promised_names_are_there() -> None:
    assert not PROMISED - NAMES


def test_required_settings_are_the_ones_to_fill_in() -> None:
    """The others are commented out."""
    filled_in = set(re.findall(r"^([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert filled_in == {name for name, field in FIELDS.items() if field.required} == set(REQUIRED)


@pytest.mark.parametrize("name", sorted(set(FIELDS) - set(REQUIRED)))
def test_described_default_is_the_default(name: str) -> None:
    """Read as it would be from the environment; a name without a value is one that is not set."""
    value = described()[name]
    if value is None:
        assert FIELDS[name].default in (None, ())
    else:
        read = load_settings({**REQUIRED, name: value})
        assert getattr(read, FIELDS[name].name) == FIELDS[name].default


@pytest.mark.parametrize("name", PROVIDERS.settings)
def test_described_default_of_a_providers_setting_is_the_default(name: str) -> None:
    assert described()[name] == PROVIDERS.settings[name].default


def test_each_setting_has_a_comment() -> None:
    blocks = (ROOT / ".env.example").read_text().split("\n\n")
    for block in blocks[1:]:
        assert block.lstrip().startswith("# "), f"nothing is said of {block.splitlines()[0]}"


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_required_ones_are_enough() -> None:
    settings = load_settings(REQUIRED)
    assert settings.supabase_url == REQUIRED["SUPABASE_URL"]
    assert settings.supabase_secret_key == REQUIRED["SUPABASE_SECRET_KEY"]
    assert settings.provider_values == {}
    assert settings.parley_port == 8000


def test_other_variables_are_nobodys_business() -> None:
    assert load_settings({**REQUIRED, "PATH": "/bin", "openai_api_key": "lower"}) == load_settings(REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_missing_one_is_named(name: str, value: str | None) -> None:
    environment = {**REQUIRED, name: value} if value is not None else {k: v for k, v in REQUIRED.items() if k != name}
    with pytest.raises(SettingsError, match=rf"^{name} is not set") as refused:
        load_settings(environment)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("legacy", "name"), LEGACY_NAMES.items())
def test_legacy_name(legacy: str, name: str) -> None:
    environment = {key: value for key, value in REQUIRED.items() if key != name}
    field = FIELDS[name].name
    assert getattr(load_settings({**environment, legacy: "eyJ"}), field) == "eyJ"
    assert getattr(load_settings({**environment, legacy: "eyJ", name: ""}), field) == "eyJ"
    assert getattr(load_settings({**environment, legacy: "eyJ", name: "sb_new"}), field) == "sb_new"


@pytest.mark.parametrize("name", sorted(NAMES - set(REQUIRED)))
def test_empty_value_is_none(name: str) -> None:
    assert load_settings({**REQUIRED, name: " "}) == load_settings(REQUIRED)


def test_values_are_trimmed() -> None:
    assert load_settings({**REQUIRED, "OPENAI_API_KEY": " sk-x\n"}).provider_values == {"OPENAI_API_KEY": "sk-x"}


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://a.example", ("https://a.example",)),
        ("https://a.example, http://b.example ,", ("https://a.example", "http://b.example")),
        (" , ", ()),
    ],
)
def test_list_of_origins(text: str, origins: tuple[str, ...]) -> None:
    assert load_settings({**REQUIRED, "CORS_ALLOW_ORIGINS": text}).cors_allow_origins == origins


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        # the issuer of users' tokens is compared with it
        ("HTTPS://Project.Supabase.co:443/", "https://project.supabase.co"),
        ("http://127.0.0.1:54321//", "http://127.0.0.1:54321"),
        ("https://example.com/supabase/", "https://example.com/supabase"),
    ],
)
def test_one_form_of_the_projects_address(text: str, kept: str) -> None:
    assert load_settings({**REQUIRED, "SUPABASE_URL": text}).supabase_url == kept


@pytest.mark.parametrize("name", sorted({*settings_of_kind("url")} - {"SUPABASE_URL"}))
def test_providers_base_url_keeps_its_query(name: str) -> None:
    values = load_settings({**REQUIRED, name: "http://x/v1/?api-version=2026-10-21"}).provider_values
    assert values == {name: "http://x/v1?api-version=2026-10-21"}


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://App.Example.com/", "https://app.example.com"),
        ("http://localhost:*", "http://localhost:*"),
        ("https://*.example.com", "https://*.example.com"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("*", "*"),
    ],
)
def test_origin_is_taken_as_browsers_send_it(text: str, origin: str) -> None:
    assert load_settings({**REQUIRED, "CORS_ALLOW_ORIGINS": text}).cors_allow_origins == (origin,)


@pytest.mark.parametrize(
    "text", ["app.example.com", "localhost:5173", "https://a.example/path", "https://a b", "https://"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^CORS_ALLOW_ORIGINS must be origins such as https://app\.example\.com"):
        load_settings({**REQUIRED, "CORS_ALLOW_ORIGINS": f"https://app.example.com, {text}"})


@pytest.mark.parametrize(
    ("text", "trusted"),
    [
        ("", ()),
        ("127.0.0.1", ("127.0.0.1",)),
        ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
        ("*", ("*",)),
    ],
)
def test_proxies(text: str, trusted: tuple[str, ...]) -> None:
    assert load_settings({**REQUIRED, "FORWARDED_ALLOW_IPS": text}).forwarded_allow_ips == trusted


@pytest.mark.parametrize(
    ("text", "every"),
    [("", False), ("10.0.0.0/8,::1", False), ("*", True), ("0.0.0.0/0", True), ("10.0.0.7, ::/0", True)],
)
def test_when_every_proxy_is_trusted(text: str, every: bool) -> None:
    assert load_settings({**REQUIRED, "FORWARDED_ALLOW_IPS": text}).every_proxy_is_trusted is every


@pytest.mark.parametrize("text", ["balancer", "10.0.0.7/8", "127.0.0.1:80", "*, 10.0.0.1", "10.0.0.*"])
def test_what_is_no_address_of_a_proxy(text: str) -> None:
    """uvicorn takes each of these for the name of a client, and trusts no proxy."""
    with pytest.raises(SettingsError, match=r"^FORWARDED_ALLOW_IPS must be addresses \(10\.0\.0\.7\) or networks"):
        load_settings({**REQUIRED, "FORWARDED_ALLOW_IPS": text})


def legacy(**claims: str) -> str:
    """A legacy key, which is a token that says what it is."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("publishable", "secret", "said"),
    [
        ("sb_publishable_x", "sb_publishable_x", "SUPABASE_SECRET_KEY holds a publishable key: set the secret one"),
        ("sb_secret_x", "sb_secret_x", "SUPABASE_PUBLISHABLE_KEY holds a secret key: set the publishable one"),
        ("sb_secret_x", "sb_publishable_x", "SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY are swapped"),
        ("sb_publishable_x", "sbp_x", "SUPABASE_SECRET_KEY holds a personal access key"),
        (legacy(role="service_role"), "sb_secret_x", "SUPABASE_PUBLISHABLE_KEY holds a secret key"),
        ("sb_publishable_x", legacy(role="anon"), "SUPABASE_SECRET_KEY holds a publishable key"),
        (legacy(role="service_role"), legacy(role="anon"), "SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY are sw"),
        (
            legacy(role="anon", ref="project"),
            legacy(role="service_role", ref="other"),
            "SUPABASE_SECRET_KEY is a key of the project other, and SUPABASE_URL is the address of another one",
        ),
        (legacy(role="anon", ref="other"), "sb_secret_x", "SUPABASE_PUBLISHABLE_KEY is a key of the project other"),
    ],
)
def test_key_in_the_wrong_place_is_named(publishable: str, secret: str, said: str) -> None:
    keys = {"SUPABASE_PUBLISHABLE_KEY": publishable, "SUPABASE_SECRET_KEY": secret}
    with pytest.raises(SettingsError) as refused:
        load_settings({**REQUIRED, **keys})
    assert str(refused.value).startswith(said)
    for key in (publishable, secret):
        assert key not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "publishable", "secret"),
    [
        ("https://project.supabase.co", "sb_publishable_x", "sb_secret_x"),
        ("https://project.supabase.co", legacy(role="anon", ref="project"), legacy(role="service_role", ref="project")),
        # a domain of one's own tells nothing
        ("https://api.example.com", legacy(role="anon", ref="project"), legacy(role="service_role", ref="project")),
        ("http://127.0.0.1:54321", legacy(role="anon", iss="supabase-demo"), "eyJ.not-base64!.x"),
        ("http://127.0.0.1:54321", "anything", "a.b.c"),
    ],
)
def test_key_in_its_place(url: str, publishable: str, secret: str) -> None:
    keys = {"SUPABASE_PUBLISHABLE_KEY": publishable, "SUPABASE_SECRET_KEY": secret}
    settings = load_settings({"SUPABASE_URL": url, **keys})
    assert (settings.supabase_publishable_key, settings.supabase_secret_key) == (publishable, secret)


@pytest.mark.parametrize("provider", PROVIDERS.names)
def test_default_provider(provider: str) -> None:
    assert load_settings({**REQUIRED, "DEFAULT_AI_PROVIDER": provider}).default_ai_provider == provider


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in settings_of_kind("url")
            for value in (
                *(SECRET, "ftp://x", "http:///x", "//x", "localhost:54321", "http://x:port", "http://x:65536"),
                *("http://[x", "http://x y", "http://x\ny", "http://x/\u2026", "http://x/#f"),
                "http://u:p@x",  # pragma: allowlist secret
            )
        ),
        *(("SUPABASE_URL", f"http://x{value}") for value in ("?a=b", "/rest/v1", "/auth/v1/", "/x/realtime/v1")),
        *(("REDIS_URL", value) for value in (SECRET, "http://x", "redis:///0", "redis://x:port")),
        *(
            (name, value)
            for name in settings_of_kind("key")
            for value in ("sk-\u2026", "ключ", "sk-do\nnot", "sk-\x00")
        ),
        ("DEFAULT_AI_PROVIDER", SECRET),
        ("DEFAULT_AI_PROVIDER", "OpenAI"),
        ("MODERATION", SECRET),
        ("MODERATION", "claude"),
        ("LOG_LEVEL", SECRET),
        ("LOG_LEVEL", "trace"),
        ("PARLEY_PORT", SECRET),
        *(("PARLEY_PORT", value) for value in ("0", "65536", "-1", "80.5", "8000;")),
        *(
            (name, value)
            for name in FIELDS
            if name.endswith("_TIMEOUT_SECONDS")
            for value in ("0e0", "-1", SECRET, "nan", "inf")
        ),
    ],
)
def test_malformed_one_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} ") as refused:
        load_settings({**REQUIRED, name: value})
    assert value not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "name",
    [name for name, field in FIELDS.items() if choices(name) or field.type not in (str, str | None, tuple[str, ...])],
)
def test_every_setting_that_can_be_malformed_says_what_it_takes(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} is malformed: expected \w") as refused:
        load_settings({**REQUIRED, name: SECRET})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SEARCH_THRESHOLD", "2", "a number from -1 to 1"),
        ("DOCUMENT_MAX_BYTES", "0", "a whole number from 1 to 104857600"),
        ("PARLEY_PORT", "65536", "a whole number from 1 to 65535"),
        ("CONNECT_TIMEOUT_SECONDS", "0", "a number from 0.01 to 86400"),
        ("DEFAULT_AI_PROVIDER", "mistral", "one of gemini, openai, claude, ollama, demo"),
        ("MODERATION", "on", "one of openai, off"),
    ],
)
def test_what_is_allowed_is_said(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is malformed: expected {expected}$"):
        load_settings({**REQUIRED, name: value})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load_settings(REQUIRED).parley_port = 1  # type: ignore[misc]


# ── the start ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_start_is_stopped_with_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT,
        env={**REQUIRED, "SUPABASE_URL": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = "parley: SUPABASE_URL must be an http:// or https:// address\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)


def test_start_without_a_setting_says_what_is_there_instead(tmp_path: Path) -> None:
    """A name like it, and the file that this program does not read."""
    (tmp_path / ".env").write_text("SUPABASE_SECRET_KEY=sb_secret_x\nGEMINI_API_KEY=\n")
    given = {name: value for name, value in REQUIRED.items() if name != "SUPABASE_SECRET_KEY"}
    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=tmp_path,
        # GEMINI_API_KEY is other programs' in the environment, unless it was loaded from the file
        env={**given, "SUPABASE_KEY": SECRET, "GEMINI_API_KEY": SECRET, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "parley: SUPABASE_SECRET_KEY is not set; see .env.example. "
        "GEMINI_API_KEY in .env is not a setting of Parley: did you mean GOOGLE_AI_API_KEY? "
        "SUPABASE_KEY in the environment is not a setting of Parley: did you mean SUPABASE_SECRET_KEY? "
        f"{tmp_path}/.env is not read: load it with `set -a; . ./.env; set +a`.\n"
    )


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({}, []),
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "m", "DEFAULT_AI_PROVIDER": "openai"}, []),
        ({"DEFAULT_AI_PROVIDER": "demo"}, []),
        ({"DEFAULT_AI_PROVIDER": "gemini"}, ["DEFAULT_AI_PROVIDER=gemini has no effect: GOOGLE_AI_API_KEY is not set"]),
        ({"DEFAULT_AI_PROVIDER": "ollama"}, ["DEFAULT_AI_PROVIDER=ollama has no effect: OLLAMA_BASE_URL is not set"]),
        (
            {"DEFAULT_AI_PROVIDER": "demo", "ANTHROPIC_API_KEY": "k"},
            ["DEFAULT_AI_PROVIDER=demo has no effect: ANTHROPIC_API_KEY is set"],
        ),
        ({"CLAUDE_MODEL": "m"}, ["CLAUDE_MODEL has no effect: ANTHROPIC_API_KEY is not set"]),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1", "OPENAI_MODEL": "m"},
            [
                "OPENAI_BASE_URL has no effect: OPENAI_API_KEY is not set",
                "OPENAI_MODEL has no effect: OPENAI_API_KEY is not set",
            ],
        ),
    ],
)
def test_settings_that_lack_another_one(values: dict[str, str], lines: list[str]) -> None:
    assert list(without_effect(load_settings({**REQUIRED, **values}))) == lines


# ── contexts of models ───────────────────────────────────────────────────────────────────────────────────────────


def test_contexts_of_models() -> None:
    text = "openai/meta-llama/Llama-3=8192, ollama/qwen3:latest = 4096 ,gemini/models/gemini-9=1000000,"
    assert load_settings({**REQUIRED, "MODEL_CONTEXT_TOKENS": text}).model_context_tokens == {
        ("openai", "meta-llama/Llama-3"): 8192,
        ("ollama", "qwen3"): 4096,
        ("gemini", "gemini-9"): 1_000_000,
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("llama-3=8192", r"expected PROVIDER/MODEL=TOKENS with one of the providers gemini, openai, .* \(entry 1\)"),
        ("openai/a=8192,acme/b=8192", r"expected PROVIDER/MODEL=TOKENS .* \(entry 2\)"),
        ("openai/=8192", "expected PROVIDER/MODEL=TOKENS"),
        ("openai/a", "expected PROVIDER/MODEL=TOKENS"),
        ("openai/a=8k", r"expected a whole number of tokens from 256 to 100000000 \(entry 1\)"),
        ("openai/a=255", "expected a whole number of tokens from 256"),
        ("openai/a=8192,ollama/b=4096,openai/a=4096", r"names a model twice \(entry 3\)"),
    ],
)
def test_context_that_is_malformed(text: str, what: str) -> None:
    with pytest.raises(SettingsError, match=f"^MODEL_CONTEXT_TOKENS .*{what}"):
        load_settings({**REQUIRED, "MODEL_CONTEXT_TOKENS": text})


def test_context_of_a_provider_that_is_not_configured_has_no_effect() -> None:
    settings = load_settings({**REQUIRED, "MODEL_CONTEXT_TOKENS": "openai/a=8192,openai/b=8192"})
    assert without_effect(settings) == ("MODEL_CONTEXT_TOKENS=openai/… has no effect: OPENAI_API_KEY is not set",)
    assert (
        without_effect(load_settings({**REQUIRED, "OPENAI_API_KEY": "k", "MODEL_CONTEXT_TOKENS": "openai/a=1000"}))
        == ()
    )


def test_system_prompt_of_a_file(tmp_path: Path) -> None:
    """Without a byte order mark and the blanks around it."""
    file = tmp_path / "prompt.md"
    file.write_text("\ufeff\nBe kind.\n\nBe brief. 😀\n")
    assert load_settings({**REQUIRED, "SYSTEM_PROMPT_FILE": str(file)}).system_prompt == "Be kind.\n\nBe brief. 😀"
    assert load_settings({**REQUIRED, "SYSTEM_PROMPT": " Be kind. "}).system_prompt == "Be kind."


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"x" * 32_001, b"a\0b", None])
def test_system_prompt_that_cannot_be_one(tmp_path: Path, content: bytes | None) -> None:
    """None: there is no such file. The refusal names the setting and does not repeat the text."""
    file = tmp_path / "prompt.md"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^SYSTEM_PROMPT_FILE must be ") as refused:
        load_settings({**REQUIRED, "SYSTEM_PROMPT_FILE": str(file)})
    assert "xxx" not in str(refused.value)
    with pytest.raises(SettingsError, match=r"^SYSTEM_PROMPT must be text of 1 to 32000 characters$"):
        load_settings({**REQUIRED, "SYSTEM_PROMPT": "x" * 32_001})


def test_system_prompt_twice(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^SYSTEM_PROMPT and SYSTEM_PROMPT_FILE are both set"):
        load_settings({**REQUIRED, "SYSTEM_PROMPT": "one", "SYSTEM_PROMPT_FILE": str(tmp_path)})

"""Names that are nearly a setting: told apart from other programs' names, in `.env` more strictly than elsewhere."""

from __future__ import annotations

import os

import pytest

from app.misspelt import misspelt


def meant(name: str, *, in_file: bool) -> str | None:
    """The setting that a name is taken for."""
    lines = misspelt({}, [name]) if in_file else misspelt({name: "a-secret-value"})
    assert len(lines) <= 1
    assert "a-secret-value" not in "".join(lines)
    if not lines:
        return None
    place = ".env" if in_file else "the environment"
    told, _, rest = lines[0].partition(f" in {place} is not a setting of Parley: did you mean ")
    assert told == name
    return rest.removesuffix("?")


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("OPENAI_APIKEY", "OPENAI_API_KEY"),
        ("OPENAI_KEY", "OPENAI_API_KEY"),
        ("OPENIA_API_KEY", "OPENAI_API_KEY"),
        ("openai_api_key", "OPENAI_API_KEY"),
        ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
        ("ANTHROPIC_KEY", "ANTHROPIC_API_KEY"),
        ("GOOGLE_AI_KEY", "GOOGLE_AI_API_KEY"),
        ("OLLAMA_URL", "OLLAMA_BASE_URL"),
        ("REQUIRE_PREMUIM", "REQUIRE_PREMIUM"),
        ("REQUIRES_PREMIUM", "REQUIRE_PREMIUM"),
        ("SUPABASE_KEY", "SUPABASE_SECRET_KEY"),
        ("SUPABSE_URL", "SUPABASE_URL"),
        ("EMBEDDINGS_MODEL", "EMBEDDING_MODEL"),
        ("CORS_ALLOWED_ORIGINS", "CORS_ALLOW_ORIGINS"),
        ("DEFAULT_AI_PROVDER", "DEFAULT_AI_PROVIDER"),
        ("PARLEY_PROT", "PARLEY_PORT"),
        ("PARLEY_REPLICA", "PARLEY_REPLICAS"),
        ("PARLEY_OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("SUPABASE_SECRET", "SUPABASE_SECRET_KEY"),
        ("SUPABASE_ANON", "SUPABASE_PUBLISHABLE_KEY"),
        ("SUPABASE_ANONKEY", "SUPABASE_PUBLISHABLE_KEY"),
        ("SUPABASE_SERVICE_ROLE", "SUPABASE_SECRET_KEY"),
    ],
)
def test_slip(name: str, setting: str, *, in_file: bool) -> None:
    assert meant(name, in_file=in_file) == setting


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("GEMINI_API_KEY", "GOOGLE_AI_API_KEY"),
        ("GOOGLE_API_KEY", "GOOGLE_AI_API_KEY"),
        ("CLAUDE_API_KEY", "ANTHROPIC_API_KEY"),
        ("ANTHROPIC_MODEL", "CLAUDE_MODEL"),
        ("OPENAI_API_BASE", "OPENAI_BASE_URL"),
        ("OLLAMA_HOST", "OLLAMA_BASE_URL"),
        ("OLLAMA_MODELS", "OLLAMA_MODEL"),
        ("SUPABASE_SERVICE_KEY", "SUPABASE_SECRET_KEY"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("REDIS_URI", "REDIS_URL"),
        ("CORS_ORIGINS", "CORS_ALLOW_ORIGINS"),
        ("RATE_LIMIT_REQUESTS", "RATE_LIMIT_REQUESTS_PER_MINUTE"),
        ("GEMINI_BASE_URL", "GOOGLE_AI_BASE_URL"),
        ("GEMINI_KEY", "GOOGLE_AI_API_KEY"),
        ("CLAUDE_BASE_URL", "ANTHROPIC_BASE_URL"),
        ("CLAUDE_KEY", "ANTHROPIC_API_KEY"),
        ("SUPABASE_ANON_PUBLIC_KEY", "SUPABASE_PUBLISHABLE_KEY"),
        ("CORS_ORIGIN", "CORS_ALLOW_ORIGINS"),
        ("ALLOWED_ORIGINS", "CORS_ALLOW_ORIGINS"),
        ("PREMIUM_REQUIRED", "REQUIRE_PREMIUM"),
        ("PARLEY_DATABASE_PORT", "PARLEY_DB_PORT"),
        ("MAX_DOCUMENT_BYTES", "DOCUMENT_MAX_BYTES"),
    ],
)
def test_name_of_another_program_is_a_slip_in_the_file_only(name: str, setting: str) -> None:
    assert meant(name, in_file=True) == setting
    assert meant(name, in_file=False) is None


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LANG", "MAIL", "TERM", "PORT", "HOST", "TOKEN", "EMAIL", "PASSWORD", "DATABASE_URL"),
        *("HTTP_PROXY", "SENTRY_DSN", "JWT_SECRET", "POSTGRES_PASSWORD", "REDIS_HOST", "CELERY_REDIS_URL"),
        *("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_ENTRYPOINT"),
        *("SUPABASE_ACCESS_TOKEN", "SUPABASE_DB_PASSWORD", "SUPABASE_DB_URL", "SUPABASE_PROJECT_ID"),
        *(
            "VITE_SUPABASE_URL",
            "NEXT_PUBLIC_SUPABASE_ANON_KEY",
            "VITE_SUPABASE_ANON_KEY",
            "EXPO_PUBLIC_SUPABASE_PUBLISHABLE_KEY",
        ),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_foreign_name(name: str, *, in_file: bool) -> None:
    assert meant(name, in_file=in_file) is None


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
        *("PARLEY_DATA", "PARLEY_REPLICAS", "PARLEY_DB_PORT", "PARLEY_TOKEN", "API_URL", "API_URL_2", "DEMO_PASSWORD"),
    ],
)
def test_setting_is_known(name: str) -> None:
    assert meant(name, in_file=True) is None
    assert meant(name, in_file=False) is None


def test_nothing_is_missing_where_the_setting_is_there_as_well() -> None:
    """Another program's name, most likely: its value is of no importance to us."""
    assert misspelt({"OPENAI_KEY": "x", "OPENAI_API_KEY": "y"}) == []
    assert misspelt({"OPENAI_API_KEY": "y"}, ["OPENAI_KEY"]) != []


def test_a_name_that_stands_in_both_is_said_once() -> None:
    assert len(misspelt({"OPENAI_KEY": "x"}, ["OPENAI_KEY"])) == 1


def test_nothing_is_said_of_this_machine() -> None:
    assert misspelt({name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}) == []

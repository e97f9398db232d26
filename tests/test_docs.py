"""What is written down is what is there: the OpenAPI document, and the links between the documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import openapi

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
COPY: dict[str, Any] = json.loads(openapi.COPY.read_text())


def operations(prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in COPY["paths"].items():
        if path.startswith(prefix):
            for method, operation in methods.items():
                yield f"{method.upper()} {path}", operation


async def test_committed_openapi_document_is_the_current_one() -> None:
    assert openapi.COPY.read_text() == await openapi.render(), "run `make openapi` and commit docs/openapi.json"


@pytest.mark.parametrize(
    ("name", "operation"), list(operations("/v1/")), ids=lambda value: value if type(value) is str else ""
)
def test_operation_asks_for_the_users_token_and_describes_its_problems(name: str, operation: dict[str, Any]) -> None:
    assert operation["security"] == [{"supabase": []}]
    refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
    assert {"400", "401", "503"} <= set(refusals)
    for answer in refusals.values():
        assert answer["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert operation["description"]


def test_token_is_a_bearer_token() -> None:
    assert COPY["components"]["securitySchemes"]["supabase"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }


def test_health_asks_for_no_token() -> None:
    assert "security" not in COPY
    probes = dict(operations("/health/"))
    assert set(probes) == {"GET /health/live", "GET /health/ready"}
    assert not any("security" in probe for probe in probes.values())


@pytest.mark.parametrize(
    ("method", "path", "beside"),
    [
        ("post", "/v1/conversations/{conversation_id}/messages", {"application/json"}),
        ("post", "/v1/messages/{message_id}/regenerate", {"application/json"}),
        ("get", "/v1/messages/{message_id}/stream", set()),
    ],
)
def test_event_stream_is_described(method: str, path: str, beside: set[str]) -> None:
    content = COPY["paths"][path][method]["responses"]["200"]["content"]
    assert set(content) == {"text/event-stream", *beside}
    for event in ("message.started", "delta", "restart", "done", "stopped", "error", "reconnect"):
        assert f"`{event}`" in content["text/event-stream"]["schema"]["description"]


@pytest.mark.parametrize(
    ("method", "path", "required"),
    [
        ("post", "/v1/conversations", False),
        ("patch", "/v1/conversations/{conversation_id}", True),
        ("post", "/v1/conversations/{conversation_id}/messages", True),
        ("post", "/v1/messages/{message_id}/regenerate", False),
    ],
)
def test_only_bodies_that_may_be_left_out_are_optional(method: str, path: str, required: bool) -> None:
    assert COPY["paths"][path][method]["requestBody"]["required"] is required


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", (ROOT / document).read_text())
    missing = [target for target in targets if not (ROOT / document.parent / target).exists()]
    assert not missing

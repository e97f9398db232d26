"""`/v1/search`: the passages of my documents that answer a question."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, Router, post
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, problems
from app.api.quotas import quota_headers
from app.guard.admission import Admission
from app.retrieval.search import MAX_QUERY_CHARACTERS, Search
from app.store.documents import Match


class SearchQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is looked for. Without a `threshold` it is 0.7, or the one configured, or the offline model's own."""

    query: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QUERY_CHARACTERS)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    threshold: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    mode: Literal["vector", "hybrid"] = "vector"
    filter: dict[str, Any] | None = None
    """What a passage's metadata must contain."""


class PassageView(msgspec.Struct, frozen=True, kw_only=True):
    """A passage. `metadata` is its document's, and its place: heading, page, start and end. `score` is a hybrid
    search's."""

    id: str
    document_id: str
    title: str
    content: str
    metadata: dict[str, Any]
    similarity: float
    score: float | None

    @classmethod
    def of(cls, match: Match) -> PassageView:
        return cls(
            id=match.id,
            document_id=match.document_id,
            title=match.title,
            content=match.content,
            metadata=match.metadata,
            similarity=match.similarity,
            score=match.score,
        )


class SearchResults(msgspec.Struct, frozen=True):
    """Passages, the best first. `missing` are embedding models that cannot be asked now: passages that have one of them
    were not searched."""

    items: list[PassageView]
    missing: list[str]


def search_routes(admission: Admission, search: Search) -> Router:
    @post("/", operation_id="searchPassages", status_code=200, responses=problems(403, 413, 422, 429))
    async def find(user: Caller, data: JSONBody[SearchQuery]) -> Response[SearchResults]:
        """Similar passages of mine, best first; with mode `hybrid` also those that have the query's words."""
        quotas = await admission.check(user, "search")
        found = await search.find(
            user.token,
            data.query,
            limit=data.limit,
            threshold=data.threshold,
            hybrid=data.mode == "hybrid",
            filter=data.filter,
        )
        results = SearchResults([PassageView.of(match) for match in found.passages], list(found.missing))
        return Response(results, headers=quota_headers(quotas))

    return Router("/v1/search", route_handlers=[find], tags=["search"], security=USER_TOKEN)

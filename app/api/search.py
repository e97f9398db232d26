"""`/v1/search`: the passages of my documents that answer a question."""

from __future__ import annotations

import asyncio

from litestar import Response, Router, post
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, answers_with
from app.api.quotas import EXPOSED, quota_headers
from app.api.refusals import problems
from app.api.views import PassageView, SearchQuery, SearchResults, require_words
from app.guard.admission import Admission
from app.retrieval.search import Search
from app.store.charges import Charges
from app.store.replies import Charge


def search_routes(admission: Admission, search: Search, charges: Charges) -> Router:
    @post(
        "/",
        operation_id="searchPassages",
        status_code=200,
        response_description="What was found.",
        response_headers=answers_with(*EXPOSED),
        responses=problems("budget_exceeded", "premium_required", "provider_unavailable", body=True),
    )
    async def find(user: Caller, data: JSONBody[SearchQuery]) -> Response[SearchResults]:
        """Search my documents for passages, the best first.

        Passages are found by their similarity in meaning to the query; mode `hybrid` also finds those with its
        words.
        """
        require_words("query", data.query)
        admitted = await admission.search(user, data.query)
        spent: list[Charge] = []
        try:
            found = await search.find(
                user.token,
                data.query,
                limit=data.limit,
                threshold=data.threshold,
                hybrid=data.mode == "hybrid",
                filter=data.filter,
                spent=spent,
            )
        finally:
            # also when the caller has gone meanwhile
            await asyncio.shield(charges.charge(user.id, spent, held=admitted.held))
        results = SearchResults([PassageView.of(match) for match in found.passages], list(found.missing))
        return Response(results, headers=quota_headers({"requests": admitted.requests}))

    return Router("/v1/search", route_handlers=[find], tags=["search"], security=USER_TOKEN)

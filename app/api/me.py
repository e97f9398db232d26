"""`/v1/me`: everything of the caller."""

from __future__ import annotations

from litestar import Router, delete
from litestar.params import JSONBody

from app.api.auth import Caller
from app.api.file_views import ErasedView
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.api.views import Deletion
from app.chat.erase import erase
from app.chat.turn import Turns
from app.store.erasure import Erasure


def me_routes(erasure: Erasure, turns: Turns) -> Router:
    @delete(
        "/data",
        operation_id="deleteEverything",
        status_code=200,
        response_description="All of it is gone.",
        responses=problems(body=True),
    )
    async def everything(user: Caller, data: JSONBody[Deletion]) -> ErasedView:
        """Delete everything of mine.

        That is conversations with messages and feedback, and documents with passages; replies that are being written
        end. Entries in the usage ledger stay without my name, and the limits count what I have used. The account and
        its plan stay.
        """
        return ErasedView.of(await erase(erasure, turns, user))

    return Router("/v1/me", route_handlers=[everything], tags=["me"], security=USER_TOKEN)

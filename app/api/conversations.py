"""`/v1/conversations`: create, list, read, rename, switch the branch, delete."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from app.api.auth import Caller
from app.api.hits import Query, check_query, page_of_hits
from app.api.openapi import USER_TOKEN, answers_with
from app.api.paging import DEFAULT_LIMIT, Cursor, Limit, read_activity, split_by_activity
from app.api.refusals import problems
from app.api.views import ConversationChanges, ConversationPage, ConversationView, NewConversation, require_words
from app.chat.turn import Turns
from app.errors import InvalidRequest
from app.routing.offers import Offers
from app.store.conversations import Conversations


def conversation_routes(conversations: Conversations, offers: Offers, turns: Turns) -> Router:
    @post(
        "/",
        operation_id="createConversation",
        response_description="The new conversation.",
        response_headers=answers_with("Location"),
        responses=problems("limit_reached", body=True),
    )
    async def create(user: Caller, data: JSONBody[NewConversation | None] = None) -> Response[ConversationView]:
        """Create a conversation.

        The body may be left out.
        """
        asked = data or NewConversation()
        if asked.title is not None:
            require_words("title", asked.title)
        model = None if asked.model is None else await offers.find(asked.model)
        created = await conversations.create(
            user.token, title=asked.title, model=model, instructions=asked.instructions
        )
        return Response(ConversationView.of(created), headers={"Location": f"/v1/conversations/{created.id}"})

    @get(
        "/",
        operation_id="listConversations",
        response_description="One page.",
        responses=problems("invalid_request"),
    )
    async def page(
        user: Caller,
        request: Request[Any, Any, Any],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        q: Query = None,
    ) -> ConversationPage:
        """List my conversations by last activity; with `q`, search their titles and messages.

        A search returns a page of hits from all branches, so a conversation is there once for each text that was found.
        """
        if q is not None:
            check_query(request.scope["query_string"])
            return await page_of_hits(conversations, user.token, q, cursor, limit)
        rows = await conversations.page(user.token, after=read_activity(cursor), limit=limit + 1)
        shown, following = split_by_activity(rows, limit)
        return ConversationPage([ConversationView.of(row) for row in shown], following)

    @get(
        "/{conversation_id:uuid}",
        operation_id="readConversation",
        response_description="The conversation.",
        responses=problems("not_found"),
    )
    async def read(user: Caller, conversation_id: FromPath[UUID]) -> ConversationView:
        """Read one conversation."""
        return ConversationView.of(await conversations.get(user.token, str(conversation_id)))

    @patch(
        "/{conversation_id:uuid}",
        operation_id="renameConversation",
        response_description="The conversation as it is now.",
        responses=problems("not_found", body=True),
    )
    async def rename(
        user: Caller, conversation_id: FromPath[UUID], data: JSONBody[ConversationChanges]
    ) -> ConversationView:
        """Change the title, the preferred model or the instructions of a conversation, or show another branch of it.

        Send at least one of the fields; null removes the title, the model or the instructions.
        """
        changes = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET}
        if not changes:
            raise InvalidRequest("body: expected `title`, `model`, `instructions`, `head_id` or several of them.")
        # before another branch is shown: all of it is done, or nothing
        for field in ("title", "instructions"):
            if isinstance(text := getattr(data, field), str):
                require_words(field, text)
        if isinstance(data.model, str):
            changes["model"] = await offers.find(data.model)
        if (head := changes.pop("head_id", None)) is not None:
            shown = await conversations.switch(user.token, str(conversation_id), str(head))
            if not changes:
                return ConversationView.of(shown)
        return ConversationView.of(await conversations.rename(user.token, str(conversation_id), changes))

    @delete(
        "/{conversation_id:uuid}",
        operation_id="deleteConversation",
        response_description="It is gone.",
        responses=problems("not_found"),
    )
    async def remove(user: Caller, conversation_id: FromPath[UUID]) -> None:
        """Delete a conversation with all its messages."""
        await conversations.delete(user.token, str(conversation_id))
        turns.deleted(str(conversation_id))

    return Router(
        "/v1/conversations",
        route_handlers=[create, page, read, rename, remove],
        tags=["conversations"],
        security=USER_TOKEN,
    )

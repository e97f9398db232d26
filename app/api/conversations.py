"""`/v1/conversations`: create, list, read, rename, delete."""

from __future__ import annotations

from uuid import UUID

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, OptionalBodyOperation, problems
from app.api.paging import DEFAULT_LIMIT, Cursor, Limit, read_cursor, split_page
from app.api.views import ConversationChanges, ConversationPage, ConversationView, NewConversation
from app.errors import InvalidRequest
from app.routing.offers import Offers
from app.store.conversations import Conversations


def conversation_routes(conversations: Conversations, offers: Offers) -> Router:
    @post(
        "/",
        operation_id="createConversation",
        operation_class=OptionalBodyOperation,
        responses=problems(413, 422),
    )
    async def create(user: Caller, data: JSONBody[NewConversation | None] = None) -> ConversationView:
        """Create a conversation."""
        asked = data or NewConversation()
        model = None if asked.model is None else await offers.find(asked.model)
        return ConversationView.of(await conversations.create(user.token, title=asked.title, model=model))

    @get("/", operation_id="listConversations", responses=problems())
    async def page(user: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> ConversationPage:
        """My conversations, newest first."""
        rows = await conversations.page(user.token, before=read_cursor(cursor), limit=limit + 1)
        shown, following = split_page(rows, limit)
        return ConversationPage([ConversationView.of(row) for row in shown], following)

    @get("/{conversation_id:uuid}", operation_id="readConversation", responses=problems(404))
    async def read(user: Caller, conversation_id: FromPath[UUID]) -> ConversationView:
        """One conversation."""
        return ConversationView.of(await conversations.get(user.token, str(conversation_id)))

    @patch("/{conversation_id:uuid}", operation_id="renameConversation", responses=problems(404, 413, 422))
    async def rename(
        user: Caller, conversation_id: FromPath[UUID], data: JSONBody[ConversationChanges]
    ) -> ConversationView:
        """Change the title or the preferred model."""
        changes = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET}
        if not changes:
            raise InvalidRequest("Name a title or a model to change.")
        if isinstance(data.model, str):
            changes["model"] = await offers.find(data.model)
        return ConversationView.of(await conversations.rename(user.token, str(conversation_id), changes))

    @delete("/{conversation_id:uuid}", operation_id="deleteConversation", responses=problems(404))
    async def remove(user: Caller, conversation_id: FromPath[UUID]) -> None:
        """Delete a conversation with all its messages."""
        await conversations.delete(user.token, str(conversation_id))

    return Router(
        "/v1/conversations",
        route_handlers=[create, page, read, rename, remove],
        tags=["conversations"],
        security=USER_TOKEN,
    )

"""The table `conversations`, always with the user's own token."""

from __future__ import annotations

import msgspec

from app.errors import NotFound
from app.store.client import Supabase
from app.store.rows import Conversation, columns
from app.values import Role

_COLUMNS = columns(Conversation)
_LISTED = ",".join(name for name in Conversation.__struct_fields__ if name != "instructions")
"""A page of a list would have megabytes of instructions."""

MAX_QUERY_CHARACTERS = 200
Activity = tuple[str, int]
"""A place in the list: the time of a conversation's last activity, and its position."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A title or a message that was found. `snippet` is HTML, `cursor` leads to the hits after this one."""

    conversation: Conversation
    message_id: str | None
    role: Role | None
    snippet: str
    written_at: str
    cursor: str


class Conversations:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def create(
        self, token: str, *, title: str | None, model: str | None, instructions: str | None = None
    ) -> Conversation:
        async with self._supabase.for_user(token) as client:
            table = client.from_("conversations")
            row = {"title": title, "model": model, "instructions": instructions}
            answer = await table.insert(row).select(_COLUMNS).execute()
        return msgspec.convert(answer.data[0], Conversation)

    async def page(self, token: str, *, after: Activity | None, limit: int) -> list[Conversation]:
        """By last activity, the latest first, those after this place."""
        async with self._supabase.for_user(token) as client:
            query = client.from_("conversations").select(_LISTED)
            if after is not None:
                time, position = after
                # the first condition is the index's, the second parts those of the same moment
                query = query.lte("last_message_at", time)
                query = query.or_(f'last_message_at.lt."{time}",position.lt.{position}')
            query = query.order("last_message_at", desc=True).order("position", desc=True)
            answer = await query.limit(limit).execute()
        return msgspec.convert(answer.data, list[Conversation])

    async def get(self, token: str, conversation_id: str) -> Conversation:
        async with self._supabase.for_user(token) as client:
            table = client.from_("conversations")
            answer = await table.select(_COLUMNS).eq("id", conversation_id).limit(1).execute()
        return _only(answer.data)

    async def search(self, token: str, query: str, *, after: str | None, limit: int) -> list[Hit]:
        """At most `limit` titles and messages with all words of `query`, the best first."""
        arguments = {"query": query, "match_count": limit, "after": after}
        return await self._supabase.user_rpc(token, "search_conversations", arguments, list[Hit])

    async def rename(self, token: str, conversation_id: str, changes: dict[str, str | None]) -> Conversation:
        async with self._supabase.for_user(token) as client:
            table = client.from_("conversations")
            answer = await table.update(changes).eq("id", conversation_id).select(_COLUMNS).execute()
        return _only(answer.data)

    async def switch(self, token: str, conversation_id: str, message_id: str) -> Conversation:
        """Show the branch through a message."""
        arguments = {"p_conversation_id": conversation_id, "p_message_id": message_id}
        return await self._supabase.user_rpc(token, "switch_branch", arguments, Conversation)

    async def delete(self, token: str, conversation_id: str) -> None:
        async with self._supabase.for_user(token) as client:
            table = client.from_("conversations")
            answer = await table.delete().eq("id", conversation_id).select("id").execute()
        if not answer.data:
            raise NotFound("No such conversation.")


def _only(rows: object) -> Conversation:
    found = msgspec.convert(rows, list[Conversation])
    if not found:
        raise NotFound("No such conversation.")
    return found[0]

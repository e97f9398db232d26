"""The table `messages` and the turn functions, always with the user's own token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from app.errors import NotFound
from app.store.client import Supabase
from app.store.rows import StoredMessage
from app.values import Feedback, IdempotencyKey, Message, Quota, Regenerate, ReplyStatus, Send


class Stretch(msgspec.Struct, frozen=True):
    """A part of a branch: between two messages, each a position or an id, or open. Backward it is read newest first."""

    before: int | str | None = None
    after: int | str | None = None
    backward: bool = False


class ChatTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a turn by a client that has its own ids for conversations and messages: answer this message of the
    chat. A message that is known is answered again with `regenerate`, otherwise its newest reply is the answer; with
    other words than before, it is another version of it. The first message of a chat creates its conversation."""

    chat_id: str
    message_id: str | None
    """The client's own id of the message, or ours; None where only `target_id` says what is answered again."""
    content: str | None
    """None: no message is sent, one that is there is answered again."""
    regenerate: bool = False
    edited: bool = False
    """The client says that it is another version, also where the words are the same."""
    target_id: str | None = None
    """What is answered again: a message, or a reply to it."""
    seen: tuple[str, ...] = ()
    """The ids of the messages that the client shows before this one, newest first. A new message follows the first of
    them that is known, or the head."""


class OfferedModel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model that could answer, with its price in micro-dollars per million tokens, where that is known. Without a
    name it is any of its provider. `known`: the catalog or a setting names it; `named`: the request does."""

    provider: str
    model: str | None
    known: bool = False
    named: bool = False
    input: int | None = None
    cached: int | None = None
    output: int | None = None


class TurnOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn could be answered with: `models`, best first, and `others` that its conversation may prefer."""

    models: Sequence[OfferedModel]
    others: Sequence[OfferedModel] | msgspec.Raw
    passage_tokens: int
    """What passages take of the prompt at most."""
    system_tokens: int = 0
    """Those of the operator's system prompt."""


class AllowedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the user's plan allows, with the price that counts; None: not known."""

    provider: str
    model: str
    input: int | None = None
    cached: int | None = None
    output: int | None = None


class Begun(msgspec.Struct, frozen=True):
    """What `begin_turn` answers. `replayed`: an earlier request with the same Idempotency-Key has begun this turn."""

    replayed: bool
    user_message: StoredMessage
    message: StoredMessage
    history: tuple[Message, ...] = ()
    model: str | None = None
    """The model that the conversation prefers."""
    untitled: bool = False
    """Whether the conversation has no title."""
    instructions: str | None = None
    """What the user wants of every reply in it."""
    searchable: bool = False
    """Whether the user has passages that a search may find."""
    quotas: dict[str, Quota] = msgspec.field(default_factory=dict)
    """What is left of the user's limits, `requests` and `tokens`, after this turn was admitted."""
    models: tuple[AllowedModel, ...] | None = None
    """The models that may answer, with their prices. None: no offer was made."""
    output_tokens: int | None = None
    """The limit of the reply. None: it needs none."""
    passage_tokens: int | None = None
    """How many tokens the passages in the prompt may have."""
    title: str | None = None
    """That of the conversation, in a turn of a chat."""
    busy: bool = False
    """`message` is still streaming, and has to be stopped before another reply is asked for; in a turn of a chat."""


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """The reply that a chat's shown branch ends with; None where it ends with none. `fresh`: it is being written, or
    was until a few minutes ago."""

    conversation_id: str
    title: str | None
    reply_id: str | None
    status: ReplyStatus | None
    fresh: bool | None


class Deleted(msgspec.Struct, frozen=True):
    """What `delete_message` answers."""

    ended: tuple[str, ...]


class ReplyPart(msgspec.Struct, frozen=True):
    """A reply's text and reasoning, each after an offset, and its row without them. `length` and `reasoned` are the
    lengths of the whole text and reasoning; None until the reply has ended."""

    text: str
    message: StoredMessage
    length: int | None = None
    reasoning: str = ""
    reasoned: int | None = None


def follows(parent_id: str | msgspec.UnsetType | None) -> dict[str, object]:
    """The arguments of a database function that say which message a new one follows; see `Send`."""
    if parent_id is None:
        return {"p_new_beginning": True}
    return {} if parent_id is msgspec.UNSET else {"p_parent_id": parent_id}


class Messages:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def page(self, token: str, conversation_id: str, stretch: Stretch, *, limit: int) -> list[StoredMessage]:
        """The first `limit` messages of that part of the shown branch, in the order of reading."""
        arguments: dict[str, object] = {
            "p_conversation_id": conversation_id,
            "p_backward": stretch.backward,
            "p_limit": limit,
        }
        for name, bound in (("p_before", stretch.before), ("p_after", stretch.after)):
            if bound is not None:
                arguments[name if isinstance(bound, int) else f"{name}_id"] = bound
        rows: list[StoredMessage] | None = await self._supabase.user_rpc(
            token,
            "read_branch",
            arguments,
            list[StoredMessage] | None,  # type: ignore[arg-type]
        )
        if rows is None:
            raise NotFound("No such conversation.")
        return rows

    async def chat_page(self, token: str, chat_id: str, before: int | None, *, limit: int) -> list[StoredMessage]:
        """The last `limit` messages of a chat before that position, newest first; none of a chat that is not there."""
        arguments: dict[str, object] = {"p_chat_id": chat_id, "p_limit": limit, "p_before": before}
        return await self._supabase.user_rpc(token, "read_chat", arguments, list[StoredMessage])

    async def chat_reply(self, token: str, chat_id: str) -> ChatReply | None:
        """The reply that a chat ends with; None where there is no such chat."""
        arguments = {"p_chat_id": chat_id}
        return await self._supabase.user_rpc(token, "chat_reply", arguments, ChatReply | None)  # type: ignore[arg-type]

    async def get(self, token: str, message_id: str) -> StoredMessage:
        arguments = {"p_message_id": message_id}
        found: StoredMessage | None = await self._supabase.user_rpc(
            token,
            "read_message",
            arguments,
            StoredMessage | None,  # type: ignore[arg-type]
        )
        if found is None:
            raise NotFound("No such message.")
        return found

    async def delete(self, token: str, message_id: str) -> tuple[str, ...]:
        """Delete a message and what follows it. Returns the replies among them that were being written."""
        arguments = {"p_message_id": message_id}
        return (await self._supabase.user_rpc(token, "delete_message", arguments, Deleted)).ended

    async def set_feedback(self, token: str, message_id: str, feedback: Feedback | None) -> StoredMessage:
        """Say what the user thinks of a reply, or with None nothing more. Raises `NotFound` and `InvalidRequest`."""
        said = (feedback.rating, feedback.comment) if feedback is not None else (None, None)
        arguments = {"p_message_id": message_id, "p_rating": said[0], "p_comment": said[1]}
        return await self._supabase.user_rpc(token, "set_feedback", arguments, StoredMessage)

    async def begin_turn(
        self,
        token: str,
        what: Send | Regenerate | ChatTurn,
        *,
        writer: str,
        reply_id: str,
        key: IdempotencyKey | None = None,
        max_tokens: int | None = None,
        offer: TurnOffer | None = None,
    ) -> Begun:
        """Admit the turn and store a streaming reply, and the user message if it is new, in one round trip.
        `max_tokens` is the limit of the reply, `offer` names the models that could answer. Raises what the database
        function raises, see its comment."""
        self._supabase.require_service()  # without it, nothing could write the reply
        arguments: dict[str, object] = {"p_writer": writer, "p_reply_id": reply_id, "p_max_tokens": max_tokens}
        match what:
            case Send():
                arguments |= {"p_conversation_id": what.conversation_id, "p_content": what.content}
                arguments |= follows(what.parent_id)
            case Regenerate():
                arguments |= {"p_reply_to": what.message_id}
            case ChatTurn():
                arguments |= {f"p_{name}": value for name, value in msgspec.structs.asdict(what).items()}
            case _:
                assert_never(what)
        if offer is not None:
            arguments["p_offer"] = offer
        if key is not None:
            arguments |= {"p_idempotency_key": key.key, "p_request_hash": key.request_hash}
        if isinstance(what, ChatTurn):
            return await self._supabase.user_rpc(token, "begin_chat_turn", arguments, Begun)
        return await self._supabase.user_rpc(token, "begin_turn", arguments, Begun)

    async def replay_turn(self, token: str, key: IdempotencyKey) -> Begun | None:
        """The turn that was begun under this key, or None. Raises `IdempotencyMismatch`."""
        arguments = {"p_idempotency_key": key.key, "p_request_hash": key.request_hash}
        return await self._supabase.user_rpc(token, "replay_turn", arguments, Begun | None)  # type: ignore[arg-type]

    async def read_reply(self, token: str, message_id: str, after: int, reasoned: int) -> ReplyPart:
        """The text of a reply after `after` code points, its reasoning after `reasoned` code points, and its row."""
        arguments = {"p_message_id": message_id, "p_after": after, "p_reasoned": reasoned}
        part = await self._supabase.user_rpc(token, "read_reply", arguments, ReplyPart | None)  # type: ignore[arg-type]
        if part is None:
            raise NotFound("No such reply.")
        return part

    async def stop_reply(self, token: str, message_id: str) -> StoredMessage:
        """Ask the reply's writer to stop. Returns the reply as it is now."""
        return await self._supabase.user_rpc(token, "stop_reply", {"p_message_id": message_id}, StoredMessage)

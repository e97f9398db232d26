"""Messages: the shown branch, sending, following, stopping and regenerating replies, deleting."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody
from litestar.types import Receive

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, EventStreamOperation, answers_with
from app.api.paging import DEFAULT_LIMIT, Bound, Cursor, Limit, Order, read_stretch, split_stretch
from app.api.quotas import EXPOSED, quota_headers
from app.api.refusals import problems
from app.api.reply_stream import disconnected
from app.api.sse import EventStream
from app.api.views import (
    AnswerOptions,
    MessagePage,
    MessageView,
    NewFeedback,
    NewMessage,
    TurnView,
    require_short,
    require_words,
)
from app.chat.asked import Asked
from app.chat.finder import ReplyFinder
from app.chat.live import Followers, Reply
from app.chat.turn import Turn, Turns
from app.errors import ContentFlagged
from app.routing.router import ModelPreference
from app.store.messages import Messages
from app.values import Feedback, IdempotencyKey, Regenerate, Send, User

Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[ -~]+$",
        description="1 to 255 printable ASCII characters. A request with the same key and content within 24 hours "
        "begins no second turn; it is answered with the first one.",
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The id of the last event that the reader has received."),
]
# no parameter in OpenAPI: there the media types of the answers say it
Accept = Annotated[str | None, HeaderParameter(name="Accept", include_in_schema=False)]
Prefer = Annotated[
    str | None, HeaderParameter(name="Prefer", description="`wait`: answer with the finished reply. RFC 7240.")
]

FINISHED = ResponseSpec(
    MessageView,
    description="The event stream, where `Accept` asks for one; with `Prefer: wait` the finished reply.",
    generate_examples=False,
)
STOPPING = ResponseSpec(
    MessageView, description="The reply is about to stop; another replica writes it.", generate_examples=False
)
BEGUN = answers_with("Location", "Idempotency-Replayed", "Preference-Applied", *EXPOSED)
REFUSED = (
    "budget_exceeded",
    "premium_required",
    "limit_reached",
    "not_found",
    "idempotency_mismatch",
    "content_flagged",
    "provider_unavailable",
    "no_provider_configured",
    "draining",
)


def message_routes(messages: Messages, turns: Turns, finder: ReplyFinder, followers: Followers) -> Router:
    @get(
        "/conversations/{conversation_id:uuid}/messages",
        operation_id="listMessages",
        response_description="One page.",
        responses=problems("not_found", "invalid_request"),
    )
    async def history(
        user: Caller,
        conversation_id: FromPath[UUID],
        limit: Limit = DEFAULT_LIMIT,
        order: Order = "asc",
        cursor: Cursor = None,
        before: Bound = None,
        after: Bound = None,
    ) -> MessagePage:
        """List the messages of the branch that is shown, which ends at the conversation's head.

        A message that others follow the same message with, such as another reply or an edited text, has `siblings`.
        """
        stretch = read_stretch(order, cursor, before, after)
        rows = await messages.page(user.token, str(conversation_id), stretch, limit=limit + 1)
        shown, following = split_stretch(rows, limit, stretch, order)
        return MessagePage([MessageView.of(row) for row in shown], following)

    @post(
        "/conversations/{conversation_id:uuid}/messages",
        operation_id="sendMessage",
        operation_class=EventStreamOperation,
        status_code=202,
        response_description="The turn has begun: the reply comes by its stream, by Realtime or by reading it.",
        response_headers=BEGUN,
        responses={200: FINISHED, **problems(*REFUSED, body=True)},
    )
    async def send(
        user: Caller,
        conversation_id: FromPath[UUID],
        data: JSONBody[NewMessage],
        request: Request[Any, Any, Any],
        idempotency_key: Key = None,
        accept: Accept = None,
        prefer: Prefer = None,
    ) -> Response[TurnView]:
        """Send a message and have it answered.

        It follows the message `parent_id`, or the last one that is shown. After an earlier message it begins another
        branch, which is shown from then on: that is how a message is edited, by sending it with the `parent_id` of the
        first version.

        With `Accept: text/event-stream` the answer is the stream of the reply, with `Prefer: wait` the finished reply,
        otherwise 202 at once. The reply is written to its end even if nobody reads it. Give a request that you may send
        again an `Idempotency-Key`, so that it begins only one turn.
        """
        require_short(data.content)
        require_words("content", data.content)
        check_room(user, accept, prefer)
        parent = data.parent_id
        what = Send(str(conversation_id), data.content, str(parent) if isinstance(parent, UUID) else parent)
        key = key_of(idempotency_key, "send", conversation_id, data)
        turn = await turns.begin(
            user,
            Asked(what=what, preference=preference_of(data), use_rag=data.use_rag, reasoning=data.reasoning, key=key),
        )
        return await respond(user, turn, request, accept, prefer)

    @post(
        "/messages/{message_id:uuid}/regenerate",
        operation_id="regenerateReply",
        operation_class=EventStreamOperation,
        status_code=202,
        response_description="Another turn has begun: the reply comes by its stream, by Realtime or by reading it.",
        response_headers=BEGUN,
        responses={200: FINISHED, **problems(*REFUSED, "conflict", body=True)},
    )
    async def regenerate(
        user: Caller,
        message_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        data: JSONBody[AnswerOptions | None] = None,
        idempotency_key: Key = None,
        accept: Accept = None,
        prefer: Prefer = None,
    ) -> Response[TurnView]:
        """Answer a message again; the old reply stays, and the new one is shown.

        The id is the message's or one of its replies'. Body and answer are as for sending a message; the body may be
        left out.
        """
        check_room(user, accept, prefer)
        asked = data or AnswerOptions()
        what = Regenerate(str(message_id))
        key = key_of(idempotency_key, "regenerate", message_id, asked)
        turn = await turns.begin(
            user,
            Asked(
                what=what, preference=preference_of(asked), use_rag=asked.use_rag, reasoning=asked.reasoning, key=key
            ),
        )
        return await respond(user, turn, request, accept, prefer)

    async def wait(reply: Reply, receive: Receive) -> None:
        """Until the reply has ended, or the sender has gone: as a reader of it, who counts as one."""
        reader = followers.follow(reply)
        first = {asyncio.create_task(reply.ended()), asyncio.create_task(disconnected(receive))}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in first:
                task.cancel()
            followers.unfollow(reader)

    def check_room(user: User, accept: str | None, prefer: str | None) -> None:
        # begin no turn whose sender could not read the reply
        if _wants_stream(accept) or _wants_wait(prefer):
            followers.check_room(user.id)

    async def respond(
        user: User, turn: Turn, request: Request[Any, Any, Any], accept: str | None, prefer: str | None
    ) -> Response[Any]:
        replayed = turn.reply is None
        headers = {"Idempotency-Replayed": "true"} if replayed else quota_headers(turn.quotas)
        headers["Location"] = f"/v1/messages/{turn.message.id}"
        if _wants_stream(accept):
            reply = turn.reply or await finder.open(user, turn.message.id)
            return EventStream(followers, reply, headers=headers)
        if _wants_wait(prefer):
            reply = turn.reply or await finder.open(user, turn.message.id)
            await wait(reply, request.receive)
            if reply.ending is not None:
                finished = await messages.get(user.token, turn.message.id)
                if finished.flagged is not None:
                    raise ContentFlagged(categories=finished.flagged)
                headers["Preference-Applied"] = "wait"
                return Response(MessageView.of(finished), status_code=200, headers=headers)
            # the sender has gone, or this process cannot wait for the end; the turn is begun all the same
        view = TurnView(MessageView.of(turn.user_message), MessageView.of(turn.message))
        return Response(view, status_code=202, headers=headers)

    @get(
        "/messages/{message_id:uuid}",
        operation_id="readMessage",
        response_description="The message.",
        responses=problems("not_found"),
    )
    async def read(user: Caller, message_id: FromPath[UUID]) -> MessageView:
        """Read one message.

        For a streaming reply, `content` is the text stored so far.
        """
        return MessageView.of(await messages.get(user.token, str(message_id)))

    @get(
        "/messages/{message_id:uuid}/stream",
        operation_id="followReply",
        operation_class=EventStreamOperation,
        response_description="The event stream.",
        responses=problems("not_found", "invalid_request", "draining"),
    )
    async def follow(user: Caller, message_id: FromPath[UUID], last_event_id: LastEventId = None) -> Response[None]:
        """Follow a reply from any position, while it is written or afterwards.

        Any replica answers. Without `Last-Event-ID` the stream begins at the start; an id that is not of this stream
        is refused.
        """
        reply = await finder.open(user, str(message_id))
        written = turns.find(str(message_id)) is reply
        return EventStream(followers, reply, last_event_id=last_event_id, written=written)

    @post(
        "/messages/{message_id:uuid}/stop",
        operation_id="stopReply",
        status_code=200,
        response_description="The reply as it is now: it has stopped, or had ended before.",
        responses={202: STOPPING, **problems("not_found")},
    )
    async def stop(user: Caller, message_id: FromPath[UUID]) -> Response[MessageView]:
        """Stop a reply and keep what has been written.

        202 means that another replica writes the reply and has not stopped it yet.
        """
        stopped = await turns.stop(user, str(message_id))
        status = 202 if stopped.status == "streaming" else 200
        return Response(MessageView.of(stopped), status_code=status)

    @delete(
        "/messages/{message_id:uuid}",
        operation_id="deleteMessage",
        response_description="They are gone.",
        responses=problems("not_found"),
    )
    async def remove(user: Caller, message_id: FromPath[UUID]) -> None:
        """Delete a message with all that follows it, on every branch.

        Replies among them that are being written end. Where the shown branch ended below it, the branch through a
        sibling is shown, or else the messages before it.
        """
        turns.deleted_replies(await messages.delete(user.token, str(message_id)))

    @put(
        "/messages/{message_id:uuid}/feedback",
        operation_id="giveFeedback",
        response_description="The reply with its feedback.",
        responses=problems("not_found", body=True),
    )
    async def give_feedback(user: Caller, message_id: FromPath[UUID], data: JSONBody[NewFeedback]) -> MessageView:
        """Say what I think of a reply, in place of what I said before."""
        if data.comment is not None:
            require_words("comment", data.comment)
        said = Feedback(data.rating, data.comment)
        return MessageView.of(await messages.set_feedback(user.token, str(message_id), said))

    @delete(
        "/messages/{message_id:uuid}/feedback",
        operation_id="removeFeedback",
        response_description="The reply has no feedback.",
        responses=problems("not_found"),
    )
    async def remove_feedback(user: Caller, message_id: FromPath[UUID]) -> None:
        """Take back what I said of a reply."""
        await messages.set_feedback(user.token, str(message_id), None)

    return Router(
        "/v1",
        route_handlers=[history, send, regenerate, read, remove, follow, stop, give_feedback, remove_feedback],
        tags=["messages"],
        security=USER_TOKEN,
    )


def preference_of(options: AnswerOptions) -> ModelPreference:
    """Who is to answer."""
    return ModelPreference(
        provider=options.provider,
        model=options.model,
        task_type=options.task_type,
        max_tokens=options.max_tokens,
    )


def key_of(key: str | None, kind: str, target: UUID | str, body: msgspec.Struct) -> IdempotencyKey | None:
    """The key of a request, with what makes two requests under it the same."""
    if key is None:
        return None
    return IdempotencyKey(key, hashlib.sha256(f"{kind} {target} ".encode() + msgspec.json.encode(body)).hexdigest())


def _wants_stream(accept: str | None) -> bool:
    return accept is not None and "text/event-stream" in accept.lower()


def _wants_wait(prefer: str | None) -> bool:
    if prefer is None:
        return False
    return any(part.strip().lower().partition("=")[0] == "wait" for part in prefer.replace(";", ",").split(","))

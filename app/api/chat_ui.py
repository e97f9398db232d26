"""Chats: the AI SDK's `useChat` protocol. The turns, replies and conversations are those of all other routes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody
from litestar.types import ASGIApp, Receive, Scope, Send

from app.api.auth import Caller
from app.api.bodies import check_text
from app.api.messages import REFUSED, Key, key_of, preference_of
from app.api.openapi import USER_TOKEN, ChatOperation, answers_with
from app.api.paging import DEFAULT_LIMIT, Cursor, Limit, read_cursor, split_page
from app.api.problem import handle_app_error, handle_http_exception, handle_unforeseen
from app.api.quotas import EXPOSED, quota_headers
from app.api.refusals import problems
from app.api.ui_chunks import UIMessage
from app.api.ui_messages import MAX_ID_CHARACTERS, ChatBody, UIMessagePage, turn_of, ui_message
from app.api.ui_stream import TITLE_SECONDS, UIStream, words
from app.chat.asked import Asked
from app.chat.finder import ReplyFinder
from app.chat.live import Followers, Reply
from app.chat.titles import Titles
from app.chat.turn import STOP_SECONDS, Turn, Turns
from app.errors import AppError, Conflict, InvalidRequest, NotFound
from app.store.messages import Messages
from app.values import Problem, User

PATH = "/v1/chat"
MAX_CHAT_BYTES = 8_388_608
"""Of a body: `useChat` sends the whole chat with every message."""
RESET_STEP = "reset-step"

Chunks = Annotated[
    str | None,
    HeaderParameter(
        name="X-UI-Message-Chunks",
        description="Chunks that the client knows, beyond those that all of `ai` 5, 6 and 7 know: `reset-step`, with "
        "which a text that was taken back is emptied.",
    ),
]
# for an error of this kind an application asks by itself; a browser's fetch takes anything
Accept = Annotated[str | None, HeaderParameter(name="Accept", include_in_schema=False)]
NOTHING = ResponseSpec(None, description="Nothing is to be resumed.", generate_examples=False)
NOT_WRITTEN = ResponseSpec(None, description="Nothing of this chat is being written.", generate_examples=False)
STOPPING = ResponseSpec(
    UIMessage, description="The reply is about to stop; another replica writes it.", generate_examples=False
)


def chat_routes(messages: Messages, turns: Turns, finder: ReplyFinder, followers: Followers, titles: Titles) -> Router:
    def stream(
        reply: Reply, title: str | None, chunks: str | None, headers: dict[str, str] | None = None
    ) -> Response[None]:
        return UIStream(
            followers,
            reply,
            title=title,
            made=partial(titles.made, reply.conversation_id, TITLE_SECONDS),
            resets=chunks is not None and RESET_STEP in chunks,
            headers=headers,
        )

    async def begin(user: User, asked: Asked) -> Turn:
        turn = await turns.begin(user, asked)
        if turn.busy:
            # whoever asks for another reply no longer reads the one that is being written
            await ended(user, turn.message.id)
            turn = await turns.begin(user, asked)
            if turn.busy:
                raise Conflict("The reply to this message is still being written. Stop it first.")
        return turn

    async def ended(user: User, reply_id: str) -> None:
        """Stop a reply, and wait until it has ended, whichever replica writes it; for a few seconds at most."""
        if (await turns.stop(user, reply_id)).status == "streaming":
            reply = await finder.open(user, reply_id)
            with suppress(TimeoutError):
                await asyncio.wait_for(reply.ended(), STOP_SECONDS)

    @post(
        "/",
        operation_id="sendChatMessage",
        operation_class=ChatOperation,
        status_code=200,
        response_description="The UI message stream of the reply.",
        response_headers=answers_with("Location", "Idempotency-Replayed", *EXPOSED),
        responses=problems(*REFUSED, "conflict", body=True),
        request_max_body_size=MAX_CHAT_BYTES,
    )
    async def send(
        user: Caller, data: JSONBody[ChatBody], idempotency_key: Key = None, chunks: Chunks = None
    ) -> Response[None]:
        """Send a message of a chat, edit one, or have one answered again, and stream the reply.

        The first message of a chat creates its conversation. What the client sends of the history is not read, only
        which messages it shows: the stored conversation is the truth. A message that is there is not sent twice: with
        the same words it is answered with its reply, with other words it is edited. `regenerate-message` writes another
        reply; with the `messageId` of a reply it does so once for each.
        """
        followers.check_room(user.id)
        what = turn_of(data)
        key = key_of(idempotency_key, "chat", what.chat_id, what)
        turn = await begin(
            user,
            Asked(what=what, preference=preference_of(data), use_rag=data.use_rag, reasoning=data.reasoning, key=key),
        )
        headers = {"Idempotency-Replayed": "true"} if turn.reply is None else quota_headers(turn.quotas)
        headers["Location"] = f"/v1/messages/{turn.message.id}"
        return stream(turn.reply or await finder.open(user, turn.message.id), turn.title, chunks, headers)

    @get(
        "/{chat_id:str}/stream",
        operation_id="resumeChat",
        operation_class=ChatOperation,
        response_description="The UI message stream of the reply, from its beginning.",
        responses={204: NOTHING, **problems("draining", "invalid_request")},
    )
    async def resume(user: Caller, chat_id: FromPath[str], chunks: Chunks = None) -> Response[None]:
        """Resume the reply that a chat ends with, on any replica.

        The stream begins at the start, under the id that the reply had before. A reply that ended within the last five
        minutes is streamed too, so that a reader who was cut off shortly before its end gets all of it.
        """
        shown = await messages.chat_reply(user.token, _chat_id(chat_id))
        if shown is None or shown.reply_id is None or not shown.fresh:
            return Response(None, status_code=204)
        try:
            reply = await finder.open(user, shown.reply_id)
        except NotFound:  # deleted since
            return Response(None, status_code=204)
        return stream(reply, shown.title, chunks)

    @post(
        "/{chat_id:str}/stop",
        operation_id="stopChat",
        operation_class=ChatOperation,
        status_code=200,
        response_description="The reply as it is now: it has stopped, or had ended before.",
        responses={202: STOPPING, 204: NOT_WRITTEN, **problems("not_found", "invalid_request")},
    )
    async def stop(user: Caller, chat_id: FromPath[str]) -> Response[UIMessage]:
        """Stop the reply that a chat ends with, and keep what has been written.

        `stop()` of `useChat` ends its own reading alone, as leaving the page does: call this first. 202 means that
        another replica writes the reply and has not stopped it yet.
        """
        shown = await messages.chat_reply(user.token, _chat_id(chat_id))
        if shown is None or shown.reply_id is None or shown.status != "streaming":
            return Response(None, status_code=204)  # type: ignore[arg-type]  # it has no body
        stopped = await turns.stop(user, shown.reply_id)
        return Response(ui_message(stopped), status_code=202 if stopped.status == "streaming" else 200)

    @get(
        "/{chat_id:str}/messages",
        operation_id="listChatMessages",
        operation_class=ChatOperation,
        response_description="One page; empty for a chat that has not begun.",
        responses=problems("invalid_request"),
    )
    async def history(
        user: Caller, chat_id: FromPath[str], limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> UIMessagePage:
        """List the last messages of a chat in the form that `useChat` takes as its `messages`.

        A reply has the id that its stream has, so that resuming it replaces what is here. A user's message has the id
        that it has in `/v1/messages`, which may be sent in place of the client's own.
        """
        rows = await messages.chat_page(user.token, _chat_id(chat_id), read_cursor(cursor), limit=limit + 1)
        page, following = split_page(rows, limit)
        return UIMessagePage([ui_message(row) for row in reversed(page)], following)

    return Router(
        PATH,
        route_handlers=[send, resume, stop, history],
        tags=["chat"],
        security=USER_TOKEN,
        exception_handlers={
            AppError: _readable(handle_app_error),
            HTTPException: _readable(handle_http_exception),
            Exception: _readable(handle_unforeseen),
        },
    )


def _chat_id(encoded: str) -> str:
    """The id in a path. Raises `InvalidRequest` for what no chat can have."""
    try:
        chat_id = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest("The id of a chat in the path is not valid UTF-8.") from None
    if not 1 <= len(chat_id) <= MAX_ID_CHARACTERS:
        raise InvalidRequest(f"The id of a chat is text of 1 to {MAX_ID_CHARACTERS} characters.")
    check_text("The id of a chat", chat_id)
    return chat_id


def _readable(
    answer: Callable[[Request[Any, Any, Any], Any], Response[bytes]],
) -> Callable[[Request[Any, Any, Any], Any], Response[bytes]]:
    """An error as a text for a person, which is what `useChat` shows as it is; for who accepts JSON, the problem."""

    def handle(request: Request[Any, Any, Any], error: Any) -> Response[bytes]:
        response = answer(request, error)
        if "json" in request.headers.get("accept", ""):
            return response
        problem = msgspec.json.decode(response.content, type=Problem)
        return Response(
            words(problem).encode(),
            status_code=response.status_code,
            media_type="text/plain",
            headers={name: value for name, value in response.headers.items() if name != "content-type"},
        )

    return handle


def with_any_chat_id(app: ASGIApp) -> ASGIApp:
    """Leaves the paths of chats as they were sent: the id of a chat may have slashes, which are encoded there."""

    def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(f"{PATH}/") and scope["raw_path"]:
            scope["path"] = scope["raw_path"].decode("latin-1")
        return app(scope, receive, send)

    return answer

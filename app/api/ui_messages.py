"""Messages in the AI SDK's form: what `useChat` sends is read, and stored messages are written.

Of what is sent, the message that is to be answered is taken, and the ids of those before it, as its place. Their texts
are not: the stored conversation is the history.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeGuard

import msgspec

from app.api.mistakes import lone_surrogate
from app.api.paging import Page
from app.api.ui_chunks import (
    ReasoningPart,
    SourcePart,
    TextPart,
    UIMessage,
    UIMetadata,
)
from app.api.ui_stream import source_metadata
from app.api.views import AnswerOptions, described, require_short, require_words
from app.errors import InvalidRequest
from app.store.messages import ChatTurn
from app.store.rows import StoredMessage
from app.values import Source

MAX_ID_CHARACTERS = 255
MAX_SEEN = 50
"""Of a history that is sent, so many of the newest messages are looked for."""

SentMessage = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/SentUIMessage"})]
SENT_MESSAGE = {
    "SentUIMessage": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS},
            "role": {"type": "string", "enum": ["system", "user", "assistant"]},
            "parts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": True,
                    "properties": {"type": {"type": "string"}, "text": {"type": "string"}},
                    "required": ["type"],
                },
            },
        },
        "required": ["id", "role", "parts"],
        "additionalProperties": True,
        "description": "A message as `useChat` has it. Of the one that is to be answered, all parts are text.",
    }
}
"""The schema of what is sent, which is looked at only as far as it is used."""


class ChatBody(AnswerOptions, forbid_unknown_fields=False, kw_only=True):
    """What `useChat` sends: the chat's id, and the messages or only the last one. Other fields are left alone: they are
    the application's own, or a later AI SDK's."""

    names_once: ClassVar[bool] = False
    id: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=MAX_ID_CHARACTERS,
            description="The client's own id of the chat, any text but `.` and `..`, or the id of a conversation.",
        ),
    ]
    messages: Annotated[list[SentMessage] | None, described("The chat; the last message is to be answered.")] = None
    message: Annotated[SentMessage | None, described("The message that is to be answered, where it is sent alone.")] = (
        None
    )
    trigger: Annotated[
        Literal["submit-message", "regenerate-message"] | None, described("Left out, `submit-message`.")
    ] = None
    message_id: Annotated[
        str | None, described("The message that is edited; of `regenerate-message`, the reply that is replaced.")
    ] = msgspec.field(default=None, name="messageId")

    @staticmethod
    def read_part(raw: bytes) -> bytes:
        """The body with nothing but their ids left of the messages before the last one. A message that was refused
        stays in the chat of `useChat`, which sends it along with every later one."""
        try:
            members = _MEMBERS.decode(raw)
            sent = _LIST.decode(members.get("messages") or b"null") or []
            before = sent if members.get("message", b"null") != b"null" else sent[:-1]
            if not before:
                return raw
            known: list[object] = [{}] * max(0, len(before) - MAX_SEEN)
            known += [_id_of(message) for message in before[-MAX_SEEN:]]
            members["messages"] = msgspec.Raw(msgspec.json.encode([*known, *sent[len(before) :]]))
            return msgspec.json.encode(members)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return _with_half_pairs(raw) if _HALF_PAIRS.search(raw) else raw


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw] | None)
_HALF_PAIRS = re.compile(rb"\\ud[89a-f]", re.IGNORECASE)


class _Identified(msgspec.Struct):
    id: str


_IDENTIFIED = msgspec.json.Decoder(_Identified)


def _id_of(message: bytes) -> _Identified | dict[str, str]:
    try:
        return _IDENTIFIED.decode(message)
    except (msgspec.DecodeError, UnicodeError):
        return {}


def _with_half_pairs(raw: bytes) -> bytes:
    """As `ChatBody.read_part`, for a body with half a surrogate pair. msgspec 0.22 refuses it even where it skips."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    sent = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(sent, list):
        return raw
    before = len(sent) if body.get("message") is not None else len(sent) - 1
    body["messages"] = [
        {"id": message["id"]} if isinstance(message, dict) and _may_be_known(message.get("id")) else {}
        for message in sent[:before]
    ] + sent[before:]
    return json.dumps(body).encode()


def turn_of(body: ChatBody) -> ChatTurn:
    """What is asked. Raises `InvalidRequest`, naming the message and the part."""
    if body.id in (".", ".."):
        raise InvalidRequest("id: expected an id other than `.` and `..`, which are lost from the path of a request.")
    messages = body.messages or []
    if body.message is not None:
        sent, before, place = body.message, messages, "message"
    elif messages:
        sent, before, place = messages[-1], messages[:-1], f"messages[{len(messages) - 1}]"
    else:
        sent, before, place = None, [], "messages"
    regenerate = body.trigger == "regenerate-message"
    target = _id(body.message_id, "messageId") if body.message_id is not None else None
    if sent is None or (regenerate and sent.get("role") == "assistant"):
        target = target or (_id(sent.get("id"), f"{place}.id") if sent is not None else None)
        if not regenerate or target is None:
            raise InvalidRequest("messages: expected the message that is to be answered, or `message`; got none.")
        return ChatTurn(chat_id=body.id, message_id=None, content=None, regenerate=True, target_id=target)
    message_id = _id(sent.get("id"), f"{place}.id")
    return ChatTurn(
        chat_id=body.id,
        message_id=message_id,
        content=_text(sent, place),
        regenerate=regenerate,
        edited=not regenerate and target == message_id,
        target_id=target if regenerate and target != message_id else None,
        seen=tuple(_seen(before)),
    )


def _id(value: object, place: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_CHARACTERS:
        raise InvalidRequest(f"{place}: expected text of 1 to {MAX_ID_CHARACTERS} characters.")
    return value


def _text(sent: dict[str, Any], place: str) -> str:
    """The text of a user's message; its parts are paragraphs."""
    if sent.get("role") != "user":
        held = [what for index, part in enumerate(_parts(sent, place)) if (what := _refused(part, place, index))]
        raise InvalidRequest(
            f"{place}.role: expected a message of the user's to answer."
            + ("".join(f" {what}" for what in held) or " One of another role is never sent.")
        )
    parts = _parts(sent, place)
    refused = [what for index, part in enumerate(parts) if (what := _refused(part, place, index))]
    if refused:
        raise InvalidRequest(" ".join(refused))
    content = "\n\n".join(part["text"] for part in parts if part["type"] == "text" and part["text"])
    require_words(f"{place}.parts", content)
    require_short(content, f"{place}.parts")
    return content


def _parts(sent: dict[str, Any], place: str) -> list[Any]:
    parts = sent.get("parts")
    if not isinstance(parts, list) or not parts:
        raise InvalidRequest(f"{place}.parts: expected a list with a part of type `text`.")
    return parts


def _refused(part: object, place: str, index: int) -> str | None:
    """Why this part is not taken; None for text."""
    where = f"{place}.parts[{index}]"
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        return f"{where}: expected a part with a type."
    if kind == "step-start":  # says nothing
        return None
    if kind == "text":
        return None if isinstance(part.get("text"), str) else f"{where}.text: expected text."
    if kind == "file":
        name = next((part[key] for key in ("filename", "mediaType") if isinstance(part.get(key), str)), "unnamed")
        return f"{where} is a file ({name[:100]}): files are not taken here, only text."
    if kind == "dynamic-tool" or kind.startswith("tool-"):
        name = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
        return f"{where} is of the tool {str(name)[:100]}: tools are not taken here, only text."
    return f"{where} is of type {kind[:100]}: only text is taken here."


def _seen(before: list[dict[str, Any]]) -> Iterator[str]:
    for message in before[: -MAX_SEEN - 1 : -1]:
        known = message.get("id")
        # ids that could be no message's are skipped: nothing before the last message has to be valid
        if _may_be_known(known):
            yield known


def _may_be_known(id: object) -> TypeGuard[str]:
    return isinstance(id, str) and 1 <= len(id) <= MAX_ID_CHARACTERS and "\0" not in id and lone_surrogate(id) is None


class UIMessagePage(Page[UIMessage], frozen=True):
    """One page of a chat, the oldest message first; `next_cursor` leads to older ones."""


def ui_message(stored: StoredMessage) -> UIMessage:
    """A stored message as `useChat` has it."""
    state: Literal["streaming", "done"] = "streaming" if stored.status == "streaming" else "done"
    sources = msgspec.convert(stored.sources or (), tuple[Source, ...])
    parts: list[SourcePart | ReasoningPart | TextPart] = [
        SourcePart(source.id, "text/plain", source.title, source_metadata(source)) for source in sources
    ]
    if stored.reasoning:
        parts.append(ReasoningPart(stored.reasoning, "done" if stored.content else state))
    if stored.content or not parts:
        parts.append(TextPart(stored.content, state))
    return UIMessage(stored.id, stored.role, tuple(parts), _metadata(stored))


def _metadata(stored: StoredMessage) -> UIMetadata:
    known: dict[str, Any] = {
        "conversation_id": stored.conversation_id,
        "status": stored.status,
        "created_at": stored.created_at,
    }
    if stored.role == "assistant":
        known |= {
            "user_message_id": stored.parent_id,
            "provider": stored.provider,
            "model": stored.model,
            "finish_reason": stored.finish_reason,
            "usage": stored.usage,
            "cost_micro_usd": stored.cost_micro_usd,
            "reasoning_ms": stored.reasoning_ms,
            "problem": stored.why(),
        }
        if stored.status != "streaming":
            known["length"] = len(stored.content)
    return UIMetadata(**{name: value for name, value in known.items() if value is not None})

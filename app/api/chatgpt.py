"""ChatGPT's `conversations.json`: a list of conversations, each a map of nodes with a parent and children.

System and tool messages, and what the model says to tools, are not taken over. All that a model says after one user
message becomes one reply, since ChatGPT writes a message for each of its steps.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.api.bodies import MAX_EXPLAINED_BYTES, decode
from app.api.import_files import ConversationLine, MessageLine, Reader
from app.errors import InvalidRequest
from app.store.imports import ImportFile

TITLE_CHARACTERS = 200
MOST_STEPS = 500
"""Between a user message and the end of its reply."""
MOST_CONTENT_BYTES = 4 * 1_048_576
"""Of the parts, the text or the thoughts of a message, as JSON. A message that is taken has less."""
MOST_MODEL_BYTES = 1000
ATTACHMENT = "[attachment]"
"""In place of what is no text, such as an image."""
_HIGH, _LOW = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rb"\\(?:%b\\%b|(?P<half>%b|%b)|(?P<nul>u0000)|.)" % (_HIGH, _LOW, _HIGH, _LOW), re.DOTALL)
"""The escapes of JSON, one by one: a character beyond the first 65,536, half of one, NUL, all others."""


class Author(msgspec.Struct):
    role: str


class Content(msgspec.Struct):
    """The texts of a message: `parts`, the `text` of code, or `thoughts` of a reasoning model. They are built when they
    are taken over, one message after the other."""

    content_type: str | None = None
    parts: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    thoughts: msgspec.Raw = msgspec.Raw()


class Metadata(msgspec.Struct):
    model_slug: msgspec.Raw = msgspec.Raw()
    is_visually_hidden_from_conversation: msgspec.Raw = msgspec.Raw()


class Message(msgspec.Struct):
    author: Author | None = None
    content: Content | None = None
    create_time: float | None = None
    recipient: str | None = None
    metadata: Metadata | None = None


class Node(msgspec.Struct):
    message: Message | None = None
    parent: str | None = None
    children: list[str] | None = None


class Conversation(msgspec.Struct):
    mapping: dict[str, Node]
    id: str | None = None
    conversation_id: str | None = None
    title: str | None = None
    create_time: float | None = None
    current_node: str | None = None


class Outline(msgspec.Struct, gc=False):
    """What every conversation has. Of a list of millions of other things the first one is refused."""

    mapping: msgspec.Raw


class Step(msgspec.Struct):
    """A place on the way down: the message that was last said, and what a reply after it has said by now."""

    node: str
    said: str | None = None
    texts: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    model: str | None = None


def read_chatgpt(data: bytes) -> ImportFile:
    """What the file holds. Raises `InvalidRequest`, which names the conversation."""
    reader = Reader()
    try:
        data = _ESCAPES.sub(_storable, data)
        if len(data) > MAX_EXPLAINED_BYTES:
            decode(data, list[Outline], "file", doubts=False)
        conversations = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The file is not valid JSON: {error}.", status=400) from None
    for index, conversation in enumerate(conversations):
        where = f"file[{index}]"
        _Tree(decode(bytes(conversation), Conversation, where), where, reader).read()
    return reader.file


def _storable(escape: re.Match[bytes]) -> bytes:
    """What can be stored: models have said halves of characters, tools NUL, and nobody can change that in the file."""
    return b"\\ufffd" if escape["half"] else b"" if escape["nul"] else escape[0]


class _Tree:
    def __init__(self, conversation: Conversation, where: str, reader: Reader) -> None:
        self._conversation, self._where, self._reader = conversation, where, reader
        self._time = conversation.create_time or 0.0
        self._said: dict[str, str | None] = {}
        self._lines: list[MessageLine] = []
        self._children: dict[str | None, list[str]] = _children_of(conversation.mapping)

    def read(self) -> None:
        nodes = self._conversation.mapping
        waiting = [Step(key) for key in reversed(self._children.get(None, []))]
        while waiting:
            waiting += reversed(self._follow(waiting.pop()))
        if left := next((key for key in nodes if key not in self._said), None):
            raise InvalidRequest(f"{self._where}.mapping: {left[:100]} comes after itself.")
        given = self._conversation
        made = ConversationLine(
            # the files of the first months have no ids of conversations
            id=given.conversation_id or given.id or next((key for key, node in nodes.items() if node.message), ""),
            title=(given.title or "").strip()[:TITLE_CHARACTERS] or None,
            created_at=_iso(self._time, f"{self._where}.create_time"),
            head_id=self._said.get(given.current_node or ""),
        )
        if not 1 <= len(made.id) <= 100:
            raise InvalidRequest(f"{self._where}.id: expected 1 to 100 characters.")
        self._reader.conversation(made, self._where)
        for line in self._lines:
            self._reader.message(line, f"{self._where}.mapping.{line.id[:100]}")

    def _follow(self, step: Step) -> list[Step]:
        """Take a node over, and the steps to its children."""
        nodes = self._conversation.mapping
        node = nodes[step.node]
        message, reply = node.message, step
        said: str | None = step.said
        content = f"{self._where}.mapping.{step.node[:100]}.message.content"
        if len(step.steps) >= MOST_STEPS:
            raise InvalidRequest(f"{self._where}.mapping: a reply has at most {MOST_STEPS} steps.")
        if message is not None and _speaker(message) == "user" and (text := _text(message.content, content)):
            said = self._add(step.node, step.said, "user", text, message)
            reply = Step(step.node)
        elif message is not None and _speaker(message) == "assistant":
            reply = msgspec.structs.replace(
                step,
                texts=(*step.texts, text) if (text := _text(message.content, content)) else step.texts,
                thoughts=(*step.thoughts, thought)
                if (thought := _thoughts(message.content, content))
                else step.thoughts,
                model=_model(message.metadata) or step.model,
            )
        self._said[step.node] = said
        children = self._children.get(step.node, [])
        steps = (*reply.steps, step.node)
        # the reply is whole where the user goes on, or nobody does
        if reply.texts and (not children or any(self._is_users(child) for child in children)):
            answered: str | None = self._add(step.node, said, "assistant", "\n\n".join(reply.texts), message, reply)
            for taken in steps:
                self._said[taken] = answered
        else:
            answered = said
        return [
            Step(child, answered)
            if self._is_users(child)
            else msgspec.structs.replace(reply, node=child, said=said, steps=steps)
            for child in children
        ]

    def _is_users(self, key: str) -> bool:
        message = self._conversation.mapping[key].message
        return message is not None and _speaker(message) == "user"

    def _add(
        self, key: str, parent: str | None, role: Any, text: str, message: Message | None, reply: Step | None = None
    ) -> str:
        self._reader.spend(len(text), self._where)
        time = (message.create_time if message is not None else None) or self._time
        self._lines.append(
            MessageLine(
                id=key,
                parent_id=parent,
                role=role,
                content=text,
                reasoning="\n\n".join(reply.thoughts) if reply is not None else "",
                model=reply.model if reply is not None else None,
                created_at=_iso(time, f"{self._where}.mapping.{key[:100]}.create_time"),
            )
        )
        return key


def _children_of(nodes: dict[str, Node]) -> dict[str | None, list[str]]:
    """The children of each node, and under None those that follow none. A node has one parent: the one that it names,
    or where it names none the first that names it; not all files name both."""
    parents = {key: node.parent for key, node in nodes.items() if node.parent in nodes}
    ordered = [(key, child) for key, node in nodes.items() for child in node.children or () if child in nodes]
    for key, child in ordered:
        if nodes[child].parent is None:
            parents.setdefault(child, key)
    listed: dict[tuple[str | None, str], None] = dict.fromkeys(
        (key, child) for key, child in ordered if parents.get(child) == key
    )
    listed |= dict.fromkeys((parents.get(key), key) for key in nodes)
    children: dict[str | None, list[str]] = {}
    for parent, child in listed:
        children.setdefault(parent, []).append(child)
    return children


def _speaker(message: Message) -> str | None:
    """`user` or `assistant`, of what one has said to the other; None of what ChatGPT does not show."""
    if message.metadata is not None and message.metadata.is_visually_hidden_from_conversation == msgspec.Raw(b"true"):
        return None
    role = message.author.role if message.author is not None else None
    return role if role == "user" or (role == "assistant" and message.recipient in (None, "all")) else None


def _model(metadata: Metadata | None) -> str | None:
    if metadata is None or not 0 < memoryview(metadata.model_slug).nbytes <= MOST_MODEL_BYTES:
        return None
    return str(msgspec.json.decode(metadata.model_slug) or "")[:100] or None


def _text(content: Content | None, where: str) -> str:
    if content is None:
        return ""
    if content.content_type == "code":
        text = _built(content.text, f"{where}.text")
        if isinstance(text, str) and text.strip():
            return f"```\n{text.strip()}\n```"
    if content.content_type not in ("text", "multimodal_text"):
        return ""
    parts = [part for part in _list(content.parts, f"{where}.parts") if part is not None]
    # what was spoken is there as text, too
    if any(_kind(part) == "audio_transcription" for part in parts):
        parts = [part for part in parts if "audio" not in _kind(part) or _kind(part) == "audio_transcription"]
    return "\n".join(filter(None, map(_part, parts))).strip()


def _kind(part: Any) -> str:
    return str(part.get("content_type")) if isinstance(part, dict) else ""


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ATTACHMENT


def _thoughts(content: Content | None, where: str) -> str:
    if content is None or content.content_type != "thoughts":
        return ""
    thoughts = (one for one in _list(content.thoughts, f"{where}.thoughts") if isinstance(one, dict))
    return "\n\n".join(str(thought.get("content") or thought.get("summary") or "") for thought in thoughts)


def _list(raw: msgspec.Raw, where: str) -> list[Any]:
    built = _built(raw, where)
    if built is not None and not isinstance(built, list):
        raise InvalidRequest(f"{where}: expected a list.")
    return built or []


def _built(raw: msgspec.Raw, where: str) -> Any:
    """A part of the file, of which one is built at a time."""
    size = memoryview(raw).nbytes
    if size > MOST_CONTENT_BYTES:
        raise InvalidRequest(f"{where}: at most {MOST_CONTENT_BYTES} bytes are taken.")
    return decode(bytes(raw), object, where, doubts=False) if size else None


def _iso(seconds: float, where: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise InvalidRequest(f"{where}: expected seconds since 1970.") from None

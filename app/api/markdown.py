"""The shown branch of a conversation as a Markdown text for people."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

from app.store.exports import Exports
from app.store.messages import Messages, Stretch
from app.store.rows import StoredMessage

MESSAGES_AT_ONCE = 10
"""So many are held at a time, each of which may have a million characters."""
_WHO = {"user": "You", "assistant": "Assistant", "system": "System"}


async def as_markdown(exports: Exports, messages: Messages, token: str, conversation_id: str) -> AsyncGenerator[bytes]:
    """A heading for the conversation and for each message, whose texts are as they were written. Raises `NotFound`."""
    conversation = await exports.conversation(token, conversation_id)
    yield f"# {_on_one_line(conversation.title or 'Untitled conversation')}\n".encode()
    after: int | None = None
    while True:
        stretch = Stretch(after=after)
        rows = await messages.page(token, conversation_id, stretch, limit=MESSAGES_AT_ONCE)
        for row in rows:
            yield "".join(_message(row)).encode()
        if len(rows) < MESSAGES_AT_ONCE:
            return
        after = rows[-1].position


def _message(message: StoredMessage) -> Iterator[str]:
    who = _WHO[message.role] + (f" ({message.model})" if message.model else "")
    yield f"\n## {who}, {message.created_at[:16].replace('T', ' ')}\n\n"
    if message.reasoning:
        yield "> *Reasoning*\n>\n" + "".join(f"> {line}\n" for line in message.reasoning.splitlines()) + "\n"
    if message.content:
        yield message.content.rstrip("\n") + "\n"
    if message.status != "complete":
        yield f"\n*This reply is {message.status}.*\n"
    if message.sources:
        yield "\nSources:\n\n"
        for number, source in enumerate(message.sources, 1):
            yield f"{number}. {_on_one_line(str(source.get('title', '')))}\n"
    if message.feedback is not None:
        comment = f": {_on_one_line(message.feedback.comment)}" if message.feedback.comment else ""
        yield f"\n*Feedback: {message.feedback.rating}{comment}*\n"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())

"""Files to import: Parley's own export, as JSON lines or of one conversation. What is wrong is named with its place.

A field that is not known is refused: one that is misspelt would be lost silently.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from app.api.bodies import convert, decode
from app.api.views import MAX_COMMENT_CHARACTERS, DocumentTitle, Instructions, Title, require_words
from app.chat.live import MAX_REASONING_CHARACTERS, MAX_REPLY_CHARACTERS
from app.errors import InvalidRequest
from app.retrieval.library import MAX_METADATA_BYTES
from app.store.imports import ImportedConversation, ImportedDocument, ImportedMessage, ImportFile
from app.values import Feedback, Problem, ReplyStatus, Source

MOST_CHARACTERS = 40_000_000
"""Of all messages of a file. The steps of a reply may stand in several."""
FORMAT, VERSION = "parley.export", 1
"""A field that an export gets raises the version; an import takes its own version and older ones."""
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Label = Annotated[str, msgspec.Meta(max_length=1000)]
"""What a reply has of its call; a server may call its model by the path of a file."""


class Head(msgspec.Struct):
    """What the first line of any version has."""

    type: str
    version: int
    conversation: dict[str, Any] | None = None


class Kind(msgspec.Struct):
    """What a line is."""

    type: str


class Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A line of a file. In the file of one conversation, what it holds has no type."""

    type: str = ""


class FirstLine(Line):
    """The first one."""

    version: int
    exported_at: str | None = None


class EndLine(Line):
    """The last one. Without it the file was cut off; what it counts is not needed."""

    documents: int = 0
    conversations: int = 0
    messages: int = 0


class SettingsLine(Line):
    """What the user has chosen for all conversations."""

    instructions: Instructions | None = None


class ConversationLine(Line):
    """A conversation in a file."""

    id: Name
    created_at: str
    updated_at: str | None = None
    title: Title | None = None
    model: Name | None = None
    instructions: Instructions | None = None
    head_id: Name | None = None


class SourceLine(Source, frozen=True, forbid_unknown_fields=True):
    """A source of a message in a file."""


class FeedbackLine(Feedback, frozen=True, forbid_unknown_fields=True):
    """The feedback of a message in a file."""


class ProblemLine(Problem, frozen=True, forbid_unknown_fields=True):
    """The problem of a message in a file."""


class MessageLine(Line):
    """A message in a file."""

    id: Name
    role: Literal["user", "assistant"]
    content: str
    created_at: str
    parent_id: Name | None = None
    reasoning: str = ""
    reasoning_ms: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    status: ReplyStatus = "complete"
    provider: Label | None = None
    model: Label | None = None
    finish_reason: Label | None = None
    error_code: Label | None = None
    problem: ProblemLine | None = None
    sources: Annotated[list[SourceLine], msgspec.Meta(max_length=100)] | None = None
    flagged: Annotated[list[Name], msgspec.Meta(max_length=100)] | None = None
    feedback: FeedbackLine | None = None
    updated_at: str | None = None


class DocumentLine(Line):
    """What is known of a document."""

    id: Name
    title: DocumentTitle
    media_type: Name
    created_at: str
    metadata: dict[str, Any] = {}
    content_hash: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    pages: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    pages_without_text: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class ConversationFile(msgspec.Struct, forbid_unknown_fields=True):
    """One conversation. It is looked at piece by piece, so that a mistake has its place in a file of any size."""

    type: str
    version: int
    conversation: dict[str, Any]
    messages: list[dict[str, Any]]
    exported_at: str | None = None


def read_file(data: bytes) -> ImportFile:
    """What the file holds. Raises `InvalidRequest`, which names the line."""
    first, _, rest = data.partition(b"\n")
    if rest.strip() and b'"conversation"' not in first:
        return _read_lines(data)
    head = decode(data, Head, "file")
    _check_version(head)
    if head.conversation is None:
        return ImportFile([], [])
    file = decode(data, ConversationFile, "file")
    reader = Reader()
    reader.conversation(convert(file.conversation, ConversationLine, "conversation"), "conversation")
    for index, message in enumerate(file.messages):
        where = f"messages[{index}]"
        reader.message(convert(message, MessageLine, where), where)
    return reader.file


def _read_lines(data: bytes) -> ImportFile:
    reader, ended = Reader(), False
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        if number == 1:
            _check_version(decode(line, Head, where))
            decode(line, FirstLine, where)
            continue
        if ended:
            raise InvalidRequest(f"{where}: expected nothing after the line of type end.")
        match decode(line, Kind, where).type:
            case "settings":
                reader.settings(decode(line, SettingsLine, where), where)
            case "document":
                reader.document(decode(line, DocumentLine, where), where)
            case "conversation":
                reader.conversation(decode(line, ConversationLine, where), where)
            case "message":
                reader.message(decode(line, MessageLine, where), where)
            case "end":
                decode(line, EndLine, where)
                ended = True
            case _:
                raise InvalidRequest(f"{where}: type: expected settings, document, conversation, message or end.")
    if not ended:
        raise InvalidRequest("The file has no line of type end: it was cut off.")
    return reader.file


def _check_version(head: Head) -> None:
    if head.type != FORMAT:
        raise InvalidRequest(f"type: expected {FORMAT}; this is no export of Parley.")
    if head.version > VERSION:
        raise InvalidRequest(f"version: expected {VERSION}; the file is of a later release of Parley.")
    if head.version != VERSION:
        raise InvalidRequest(f"version: expected {VERSION}; the file is of another version.")


class Reader:
    """Collects what the lines say, and checks that they fit together."""

    def __init__(self) -> None:
        self.file = ImportFile([], [])
        self._roles: dict[str, str] = {}
        self._known: set[str] = set()
        self._left = MOST_CHARACTERS

    def spend(self, characters: int, where: str) -> None:
        """Raises `InvalidRequest` when the messages of the file have too many characters."""
        self._left -= characters
        if self._left < 0:
            raise InvalidRequest(f"{where}: the messages of a file have at most {MOST_CHARACTERS} characters.")

    def settings(self, line: SettingsLine, where: str) -> None:
        if line.instructions is not None:
            require_words(f"{where}: instructions", line.instructions)
        self.file = msgspec.structs.replace(self.file, instructions=line.instructions)

    def document(self, line: DocumentLine, where: str) -> None:
        if len(msgspec.json.encode(line.metadata)) > MAX_METADATA_BYTES:
            raise InvalidRequest(f"{where}: metadata: at most {MAX_METADATA_BYTES} bytes are taken.")
        if (line.pages_without_text or 0) > (line.pages or 0):
            raise InvalidRequest(f"{where}: pages_without_text: expected at most the number of pages.")
        made = _time(line.created_at, f"{where}: created_at")
        self.file.documents.append(ImportedDocument(**_taken(ImportedDocument, line) | {"created_at": made}))

    def conversation(self, line: ConversationLine, where: str) -> None:
        if line.id in self._known:
            raise InvalidRequest(f"{where}: id: another conversation of the file has it.")
        self._known.add(line.id)
        self._roles = {}
        made = _time(line.created_at, f"{where}: created_at")
        fields = _taken(ImportedConversation, line) | {"created_at": made}
        self.file.conversations.append(ImportedConversation(**fields, messages=[]))

    def message(self, line: MessageLine, where: str) -> None:
        if not self.file.conversations:
            raise InvalidRequest(f"{where}: expected a conversation before its messages.")
        self._check(line, where)
        self._roles[line.id] = line.role
        made = _time(line.created_at, f"{where}: created_at")
        fields = _taken(ImportedMessage, line) | {
            # nobody writes it any more
            "status": "interrupted" if line.status == "streaming" else line.status,
            "created_at": made,
            "updated_at": made if line.updated_at is None else _time(line.updated_at, f"{where}: updated_at"),
        }
        self.file.conversations[-1].messages.append(ImportedMessage(**fields))

    def _check(self, line: MessageLine, where: str) -> None:
        reply = line.role == "assistant"
        # also of a user's, which may have been sent where more is taken
        if len(line.content) > MAX_REPLY_CHARACTERS:
            raise InvalidRequest(f"{where}: content: at most {MAX_REPLY_CHARACTERS} characters are taken.")
        if len(line.reasoning) > MAX_REASONING_CHARACTERS:
            raise InvalidRequest(f"{where}: reasoning: at most {MAX_REASONING_CHARACTERS} characters are taken.")
        if not reply and not line.content.strip():
            raise InvalidRequest(f"{where}: content: expected text, got only blanks.")
        if not reply and (line.status != "complete" or line.feedback is not None):
            raise InvalidRequest(f"{where}: status, feedback: only replies have them.")
        if not reply and line.reasoning_ms is not None:
            raise InvalidRequest(f"{where}: reasoning_ms: only replies have it.")
        comment = line.feedback.comment if line.feedback is not None else None
        if comment is not None and not 1 <= len(comment) <= MAX_COMMENT_CHARACTERS:
            raise InvalidRequest(f"{where}: feedback.comment: expected 1 to {MAX_COMMENT_CHARACTERS} characters.")
        if line.id in self._roles:
            raise InvalidRequest(f"{where}: id: another message of the conversation has it.")
        if line.parent_id is not None and line.parent_id not in self._roles:
            raise InvalidRequest(f"{where}: parent_id: expected a message of the conversation that comes before.")
        if reply and line.parent_id is not None and self._roles[line.parent_id] != "user":
            raise InvalidRequest(f"{where}: parent_id: a reply follows a user message.")
        for text in (line.content, line.reasoning, comment or ""):
            if "\0" in text:
                raise InvalidRequest(f"{where}: contains a NUL character (U+0000), which is not allowed.")


def _taken(kind: type[msgspec.Struct], line: Line) -> dict[str, Any]:
    """The fields of a line that the type `kind` has, too."""
    return {name: getattr(line, name) for name in kind.__struct_fields__ if name in line.__struct_fields__}


def _time(text: str, where: str) -> str:
    """A time as Postgres takes it, at most now."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{where}: expected a time as in 2026-11-28T10:00:00+00:00.") from None
    if time.tzinfo is None:
        raise InvalidRequest(f"{where}: expected a time with its offset.")
    # the year 1 with an offset is before any that there is in UTC, so the zone is changed at the end
    return max(OLDEST, min(time, datetime.now(UTC))).astimezone(UTC).isoformat()

"""Files to import: Parley's own export, as JSON lines or of one conversation. What is wrong is named with its place.

A field that is not known is refused: one that is misspelt would be lost silently. What is refused is not built first: a
file of `[]` alone would take half a gigabyte.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from app.api.bodies import MAX_EXPLAINED_BYTES, decode
from app.api.mistakes import JsonList, JsonObject
from app.api.views import MAX_COMMENT_CHARACTERS, DocumentTitle, Instructions, Title, require_words
from app.chat.live import MAX_REASONING_CHARACTERS, MAX_REPLY_CHARACTERS
from app.errors import InvalidRequest
from app.retrieval.library import MAX_METADATA_BYTES
from app.store.imports import ImportedConversation, ImportedDocument, ImportedMessage, ImportFile
from app.values import Feedback, Problem, ReplyStatus, Role, Source

MOST_CHARACTERS = 40_000_000
"""Of all messages of a file. The steps of a reply may stand in several."""
LONG_TEXTS = ("content", "reasoning")
MOST_OTHER_BYTES = MAX_EXPLAINED_BYTES
"""Of a line without its long texts. The longest that is taken has about a tenth of it."""
FORMAT, VERSION = "parley.export", 1
"""A field that an export gets raises the version; an import takes its own version and older ones."""
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Label = Annotated[str, msgspec.Meta(max_length=1000)]
"""What a reply has of its call; a server may call its model by the path of a file."""

L = TypeVar("L", bound="Line")

_LINE, _TEXT = re.compile(rb"\S[^\n]*"), re.compile(rb"\S")
_CUT_OFF = "The file has no line of type end: it was cut off."


class Head(msgspec.Struct):
    """What the first line of any version has."""

    type: str
    version: int
    conversation: JsonObject = msgspec.Raw()
    messages: JsonList = msgspec.Raw()


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
    role: Role
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
    conversation: JsonObject
    messages: JsonList
    exported_at: str | None = None


class MessageOutline(msgspec.Struct, gc=False):
    """What every message has. Of a list of millions of other things the first one is refused."""

    id: Name
    role: Role
    content: str
    created_at: str


def read_file(data: bytes) -> ImportFile:
    """What the file holds. Raises `InvalidRequest`, which names the line."""
    first = data[: data.find(b"\n") + 1]
    if _is_json(first) and _TEXT.search(data, len(first)):
        return _read_lines(data)
    head = decode(data, Head, "file", doubts=False)
    _check_version(head)
    if not head.conversation and not head.messages:
        decode(data, FirstLine, "file")
        raise InvalidRequest(_CUT_OFF)
    file = decode(data, ConversationFile, "file")
    reader = Reader()
    reader.conversation(_read(bytes(file.conversation), ConversationLine, "conversation"), "conversation")
    messages = bytes(file.messages)
    if len(messages) > MAX_EXPLAINED_BYTES:
        decode(messages, list[MessageOutline], "messages", doubts=False)
    for index, message in enumerate(decode(messages, list[msgspec.Raw], "messages", doubts=False)):
        where = f"messages[{index}]"
        reader.message(_read(bytes(message), MessageLine, where), where)
    return reader.file


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _read_lines(data: bytes) -> ImportFile:
    reader, ended = Reader(), False
    number, counted = 1, 0
    for found in _LINE.finditer(data):
        number += data.count(b"\n", counted, found.start())
        counted = found.start()
        line, where = found[0], f"line {number}"
        if number == 1:
            _check_version(decode(line, Head, where, doubts=False))
            decode(line, FirstLine, where)
            continue
        if ended:
            raise InvalidRequest(f"{where}: expected nothing after the line of type end.")
        match decode(line, Kind, where, doubts=False).type:
            case "settings":
                reader.settings(_read(line, SettingsLine, where), where)
            case "document":
                reader.document(_read(line, DocumentLine, where), where)
            case "conversation":
                reader.conversation(_read(line, ConversationLine, where), where)
            case "message":
                reader.message(_read(line, MessageLine, where), where)
            case "end":
                _read(line, EndLine, where)
                ended = True
            case _:
                raise InvalidRequest(f"{where}: type: expected settings, document, conversation, message or end.")
    if not ended:
        raise InvalidRequest(_CUT_OFF)
    return reader.file


def _read(line: bytes, kind: type[L], where: str) -> L:
    """A line as one of the type `kind`. Of a large one it is looked first how large its parts are."""
    if len(line) > MOST_OTHER_BYTES:
        parts = decode(line, _parts_of(kind), where, doubts=False)
        sizes = {name: memoryview(getattr(parts, name)).nbytes for name in parts.__struct_fields__}
        if len(line) - sum(sizes.pop(name, 0) for name in LONG_TEXTS) > MOST_OTHER_BYTES:
            largest = max(sizes, key=sizes.__getitem__)
            # one that is there twice counts once here
            part = f"{where}.{largest}" if sizes[largest] > MOST_OTHER_BYTES // 2 else where
            raise InvalidRequest(f"{part}: at most {MOST_OTHER_BYTES} bytes are taken beside content and reasoning.")
    return decode(line, kind, where)


@functools.cache
def _parts_of(kind: type[Line]) -> type[msgspec.Struct]:
    """A line of this type whose fields are kept as JSON."""
    fields = [(name, msgspec.Raw, msgspec.Raw()) for name in kind.__struct_fields__]
    return msgspec.defstruct(f"{kind.__name__}Parts", fields, forbid_unknown_fields=True)


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
        self._roles: dict[str, Role] = {}
        self._parents: dict[str, str | None] = {}
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
        self._roles, self._parents = {}, {}
        made = _time(line.created_at, f"{where}: created_at")
        fields = _taken(ImportedConversation, line) | {"created_at": made}
        self.file.conversations.append(ImportedConversation(**fields, messages=[]))

    def message(self, line: MessageLine, where: str) -> None:
        if not self.file.conversations:
            raise InvalidRequest(f"{where}: expected a conversation before its messages.")
        self._check_place(line, where)
        parent = self._parent_of(line)
        self._roles[line.id], self._parents[line.id] = line.role, parent
        if line.role == "system":
            self._pass_over(line, parent)
            return
        self._check(line, where)
        made = _time(line.created_at, f"{where}: created_at")
        fields = _taken(ImportedMessage, line) | {
            "parent_id": parent,
            # nobody writes it any more
            "status": "interrupted" if line.status == "streaming" else line.status,
            "created_at": made,
            "updated_at": made if line.updated_at is None else _time(line.updated_at, f"{where}: updated_at"),
        }
        self.file.conversations[-1].messages.append(ImportedMessage(**fields))

    def _parent_of(self, line: MessageLine) -> str | None:
        """What the message follows where the system's are left out."""
        parent = line.parent_id
        if parent is not None and self._roles[parent] == "system":
            parent = self._parents[parent]
            # a reply follows a user message: this one stands beside the reply before it
            if line.role == "assistant" and parent is not None and self._roles[parent] == "assistant":
                parent = self._parents[parent]
        return parent

    def _pass_over(self, line: MessageLine, parent: str | None) -> None:
        """A message of the system, which only the operator may write: in a file it could be anybody's."""
        conversation = self.file.conversations[-1]
        if conversation.head_id == line.id:
            self.file.conversations[-1] = msgspec.structs.replace(conversation, head_id=parent)

    def _check_place(self, line: MessageLine, where: str) -> None:
        if line.id in self._roles:
            raise InvalidRequest(f"{where}: id: another message of the conversation has it.")
        if line.parent_id is None:
            return
        if line.parent_id not in self._roles:
            raise InvalidRequest(f"{where}: parent_id: expected a message of the conversation that comes before.")
        if line.role == "assistant" and self._roles[line.parent_id] == "assistant":
            raise InvalidRequest(f"{where}: parent_id: a reply follows a user message.")

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

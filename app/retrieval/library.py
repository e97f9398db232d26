"""A user's documents: files come in, are read in a worker, and are stored for the indexer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from app import observe
from app.errors import AppError, InvalidRequest, PayloadTooLarge
from app.retrieval.clean import cleaned
from app.retrieval.indexer import Indexer
from app.retrieval.reader import FileReader
from app.retrieval.worker import Read
from app.store.documents import Created, Documents
from app.store.indexing import Indexing
from app.values import User

MAX_TITLE_CHARACTERS = 500
MAX_METADATA_BYTES = 4000
FREE_SECONDS = 2
"""Seconds of reading that are included in the request for a document; each further one is charged as a request."""


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was sent. `title` is what its owner calls it, `name` the file's."""

    data: bytes
    media_type: str
    charset: str | None = None
    title: str | None = None
    name: str = ""
    metadata: Mapping[str, object] = {}


class Library:
    def __init__(
        self, documents: Documents, indexing: Indexing, reader: FileReader, indexer: Indexer, *, max_bytes: int
    ) -> None:
        self._documents = documents
        self._indexing = indexing
        self.reader = reader
        self._indexer = indexer
        self.max_bytes = max_bytes

    async def add(self, user: User, upload: Upload, *, document_id: str | None = None) -> Created:
        """Store a document, or with `document_id` its new content; it is indexed afterwards.

        Raises `InvalidRequest` for a file that cannot be read, `PayloadTooLarge`, what `FileReader.read` raises, and
        what the database raises. The time that its reading took is charged in any case.
        """
        if len(upload.data) > self.max_bytes:
            raise PayloadTooLarge(f"A document has at most {self.max_bytes} bytes.")
        metadata = _checked(upload.metadata)
        read = await self.reader.read(user.id, upload.data, upload.media_type, upload.charset)
        try:
            created = await self._store(user, upload, metadata, read, document_id)
        finally:
            await self._charge(user, read)
        self._indexer.wake()
        return created

    async def _store(
        self, user: User, upload: Upload, metadata: Mapping[str, object], read: Read, document_id: str | None
    ) -> Created:
        if read.error is not None:
            raise PayloadTooLarge(read.error) if read.too_large else InvalidRequest(read.error, status=422)
        title = upload.title or read.title or PurePosixPath(upload.name.replace("\\", "/")).name or "Untitled"
        return await self._documents.create(
            user.token,
            title=" ".join(cleaned(title).split())[:MAX_TITLE_CHARACTERS] or "Untitled",
            passages=read.passages,
            content_hash=_hash(upload),
            metadata=metadata,
            media_type=upload.media_type,
            document_id=document_id,
            model=self._indexer.model,
            pages=read.pages,
            pages_without_text=read.pages_without_text,
        )

    async def _charge(self, user: User, read: Read) -> None:
        """Charge the seconds of a long reading as requests. This follows the storing, so that a document is not refused
        because of its own reading."""
        if (seconds := int(read.seconds) - FREE_SECONDS) <= 0:
            return
        try:
            await self._indexing.charge_reading(user.id, seconds)
        except AppError as error:
            observe.event("reading.uncharged", user_id=user.id, seconds=seconds, error=error.code)


def _hash(upload: Upload) -> str:
    """Of all that decides which text a document has."""
    kind = f"{upload.media_type} {upload.charset}" if upload.charset else upload.media_type
    return hashlib.sha256(kind.encode() + b"\n" + upload.data).hexdigest()


def _checked(metadata: Mapping[str, object]) -> Mapping[str, object]:
    encoded = msgspec.json.encode(metadata)
    if len(encoded) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"metadata has at most {MAX_METADATA_BYTES} bytes.", status=422)
    if b"\\u0000" in encoded:
        raise InvalidRequest("metadata contains a NUL character (U+0000), which is not allowed.", status=422)
    return metadata

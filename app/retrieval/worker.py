"""The process that reads one untrusted file: bytes in, passages out, within limits the kernel enforces.

Started by `reader` for each file, with no secret in its environment. Reads a line of JSON and then the file from the
standard input, and answers with one JSON value.
"""

from __future__ import annotations

import sys
import time

import msgspec

MEMORY_BYTES = 768_000_000
"""Of address space; a bomb ends this process, and the file with it."""


class Task(msgspec.Struct, frozen=True):
    """What is to be read. `charset` is the one that the sender named; `seconds` of processor time are allowed."""

    media_type: str
    charset: str | None
    max_passages: int
    max_characters: int
    seconds: int


class Read(msgspec.Struct, frozen=True):
    """What came of it: passages as `create_document` takes them, or why there are none."""

    title: str | None = None
    passages: list[dict[str, object]] = []
    pages: int | None = None
    pages_without_text: int | None = None
    error: str | None = None
    too_large: bool = False
    seconds: float = 0.0
    """Of processor time that it took."""


def limit_resources(seconds: int) -> None:
    """Beyond `seconds` of processor time the kernel ends this process with SIGXCPU."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_file(task: Task, data: bytes) -> Read:
    """The passages of a file."""
    from app.retrieval.chunk import chunks
    from app.retrieval.formats import TooLarge, Unreadable, read

    too_many = Read(error=f"A document has at most {task.max_passages} passages.", too_large=True)
    passages: list[dict[str, object]] = []
    try:
        text = read(data, task.media_type, task.charset, task.max_characters)
        for chunk in chunks(text.content, text.structure, text.page_starts):
            if len(passages) == task.max_passages:
                return too_many
            place = {"heading": chunk.heading, "page": chunk.page, "start": chunk.start, "end": chunk.end}
            known = {name: value for name, value in place.items() if value is not None}
            passages.append({"content": chunk.content, "metadata": known})
    except TooLarge as error:
        return Read(error=str(error), too_large=True)
    except Unreadable as error:
        return Read(error=str(error))
    except (MemoryError, RecursionError):
        return Read(error="The document is too complex to be read.")
    if not passages:
        return Read(error="The document has no text.")
    title = " ".join(text.title.split()) if text.title else None
    if not text.page_starts:
        return Read(title or None, passages)
    return Read(title or None, passages, len(text.page_starts), text.pages_without_text)


def main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    limit_resources(task.seconds)
    answer = read_file(task, sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.json.encode(msgspec.structs.replace(answer, seconds=time.process_time())))


if __name__ == "__main__":
    main()

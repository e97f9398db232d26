"""The files of a folder: which are sent to be indexed, and why the others are not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from app.retrieval.media_types import EXTENSIONS

MAX_BYTES = 104_857_600
"""The most that `DOCUMENT_MAX_BYTES` can be: what is larger is not even read."""


class Found(msgspec.Struct, frozen=True):
    """An entry of the folder. `source` is its path in the folder, as text."""

    path: Path
    source: str
    fate: Literal["send", "skip", "fail"]
    reason: str = ""


def found_in(folder: Path) -> Iterator[Found]:
    """Everything in the folder and below, in order; hidden folders and links to folders are one entry each."""
    broken: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=broken.append):
        folders.sort()
        here = Path(place)
        for name in tuple(folders):
            reason = "hidden" if name.startswith(".") else "a link" if os.path.islink(here / name) else None
            if reason is not None:
                folders.remove(name)
                yield _found(folder, here / name, "skip", reason)
        for name in sorted(files):
            yield _judged(folder, here / name)
    # a folder that cannot be listed may be the whole of what was asked for
    for error in broken:
        yield _found(folder, Path(os.fsdecode(error.filename)), "fail", error.strerror or type(error).__name__)


def _judged(folder: Path, path: Path) -> Found:
    if path.name.startswith("."):
        return _found(folder, path, "skip", "hidden")
    try:
        about = path.lstat()
    except OSError as error:
        return _found(folder, path, "fail", error.strerror or type(error).__name__)
    if stat.S_ISLNK(about.st_mode):
        return _found(folder, path, "skip", "a link")
    if not stat.S_ISREG(about.st_mode):
        return _found(folder, path, "skip", "not a regular file")
    if path.suffix.lower() not in EXTENSIONS:
        return _found(folder, path, "skip", "not a kind of file that can be read")
    if about.st_size == 0:
        return _found(folder, path, "skip", "empty")
    if about.st_size > MAX_BYTES:
        reason = f"It has {about.st_size} bytes; no document may have more than {MAX_BYTES}."
        return _found(folder, path, "fail", reason)
    return _found(folder, path, "send", "")


def _found(folder: Path, path: Path, fate: Literal["send", "skip", "fail"], reason: str) -> Found:
    # a name that is no text, as some file systems allow, could not be sent
    source = os.fsencode(path.relative_to(folder).as_posix()).decode(errors="replace")
    return Found(path, source, fate, reason)

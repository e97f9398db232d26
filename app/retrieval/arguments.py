"""What the arguments of `app.retrieval.ingest` may be: each function reads one, or refuses it with what is allowed."""

from __future__ import annotations

import argparse
import codecs
import json
import re
from pathlib import Path

from app.settings import SettingsError, base_url

CARRIED = ("source", "sha256", "charset")
"""What the command writes into each document's metadata."""


def json_object(text: str) -> dict[str, object]:
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object")
    if taken := [name for name in CARRIED if name in given]:
        raise argparse.ArgumentTypeError(f"{', '.join(taken)}: the command writes this itself")
    return given


def charset(text: str) -> str:
    try:
        # the pattern is what a header can hold; "zip" and the like are codecs, too
        known = re.fullmatch(r"[\w.:-]+", text, re.ASCII) and codecs.lookup(text)._is_text_encoding
    except LookupError:
        known = False
    if not known:
        raise argparse.ArgumentTypeError(f"{text!r} is no known charset: name one like windows-1252, koi8-r or utf-16")
    return text.lower()


def folder(text: str) -> Path:
    if not text:
        # for Path this is the current folder
        raise argparse.ArgumentTypeError("it is empty: name a folder, such as `.` for this one")
    return Path(text)


def address(text: str) -> str:
    try:
        return base_url("it", text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

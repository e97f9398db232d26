"""Notices: reads the API's log as it grows, and shows some of its events at the terminal of `make run`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.settings import settings_of_kind

SENTENCES: Mapping[str, Callable[[Mapping[str, Any], Path], str]] = {
    "provider.key_refused": lambda line, log: (
        f"{line['setting']}: {line['provider']} refuses {_what(line['setting'])} (status {line['status']}); "
        f"its message is in {log}"
    ),
    "provider.model_not_listed": lambda line, _: (
        f"{line['setting']}: {line['provider']} does not list the model {line['model']}"
    ),
    "settings.without_effect": lambda line, _: str(line["detail"]),
    "supabase.refused": lambda line, _: str(line["detail"]),
}
"""The events that are shown, and their sentences."""


def _what(setting: str) -> str:
    """What a provider refuses: the key in the setting; for a setting with an address, calls without a key."""
    return "this key" if setting in settings_of_kind("key") else "to answer without a key"


class Notices:
    """Reads the logs of several processes. A sentence that is in several logs is shown once."""

    def __init__(self) -> None:
        self._places: dict[Path, tuple[int, int]] = {}
        self._told: set[str] = set()

    def fresh(self, log: Path) -> list[str]:
        """The sentences for the new lines of `log`. A process that is started again begins a new file."""
        try:
            with log.open("rb") as file:
                inode, (known, offset) = log.stat().st_ino, self._places.get(log, (0, 0))
                file.seek(offset if inode == known else 0)
                # a line that is still being written is read the next time
                text, _, unfinished = file.read().rpartition(b"\n")
                self._places[log] = (inode, file.tell() - len(unfinished))
        except OSError:
            return []
        return [sentence for line in text.splitlines() if (sentence := self._sentence(line, log))]

    def _sentence(self, line: bytes, log: Path) -> str | None:
        try:
            fields = json.loads(line)
            sentence = SENTENCES[fields["event"]](fields, log)
        except (ValueError, KeyError, TypeError):  # not an event, or one that is not shown
            return None
        if sentence in self._told:
            return None
        self._told.add(sentence)
        return sentence

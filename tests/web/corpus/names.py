"""What users and files are called: titles of conversations and documents, and the names of files."""

from __future__ import annotations

from tests.web.corpus.replies import AWAY, SCRIPT

TITLES = (
    f"<img src=x onerror={SCRIPT}>",
    f"<script>{SCRIPT}</script>",
    f"[words](javascript:{SCRIPT}) ![picture]({AWAY})",
)
FILE_NAMES = (f"<img src=x onerror={SCRIPT}>.txt", f"a'\"><svg onload={SCRIPT}>.md")

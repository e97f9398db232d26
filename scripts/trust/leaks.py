"""`make leaks`: looks for keys and tokens in the files of the repository, with the detectors of detect-secrets.

A line that must hold such a text ends with a comment that says `pragma: allowlist secret`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

from scripts.trust.components import ROOT

PATTERNS = Path(__file__).with_name("key_patterns.py")
DETECTORS = (
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
"""Texts of a known form. Detectors of whatever looks random or stands beside the word "password" are left out: in tests
they find hundreds of texts that are no secret, and a list of exceptions of that length would hide a real one."""
LEFT_OUT = (".lock", "package-lock.json", "docs/openapi.json", "web/src/lib/schema.d.ts", ".png", ".svg")
"""The ends of names of files that no person writes."""


def leaks(files: list[str], root: Path = ROOT) -> list[str]:
    """A line for each key that is found: the file, the line and the kind; never the key."""
    settings = {
        "plugins_used": [
            *({"name": name} for name in DETECTORS),
            *({"name": name, "path": PATTERNS.as_uri()} for name in ("ParleyKeys", "ProviderKeys", "SupabaseKeys")),
        ],
        "filters_used": [{"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}],
    }
    with transient_settings(settings):
        found = SecretsCollection(root=str(root))
        for file in files:
            if not file.endswith(LEFT_OUT):
                found.scan_file(file)
        return sorted({f"{file}:{secret.line_number}: {secret.type}" for file, secret in found})


def main() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    lines = leaks(files)
    if lines:
        sys.exit("\n".join([*lines, "If a key is real, revoke it first: it stays in the history of the repository."]))
    print(f"No key in {len(files)} files")


if __name__ == "__main__":
    main()

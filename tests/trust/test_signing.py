"""The steps of docs/releasing.md, with a key that is thrown away and files that stand for those of a release."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.documented import block

MAKE = block("docs/releasing.md", "make wheel sbom").text
SIGN = block("docs/releasing.md", "ssh-keygen -Y sign").text
CHECK_TAG = block("docs/releasing.md", "verify-tag").text
TAG = block("docs/releasing.md", "tag --sign").text
CHECK = block("docs/releasing.md", "ssh-keygen -Y verify").text


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not on this machine")
def test_release_is_made_signed_and_checked(tmp_path: Path) -> None:
    """What `make` builds has tests of its own: here a program in its place says which targets it was asked for."""
    folder, key, tools = tmp_path / "dist", tmp_path / "key", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    (tools / "make").write_text("#!/bin/sh\necho made $*\n")
    (tools / "make").chmod(0o755)
    (folder / "parley-1.0.0-py3-none-any.whl").write_bytes(b"a wheel")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": f"{tools}:{os.environ['PATH']}", "SIGNING_KEY": str(key)}
        return subprocess.run(
            ["sh", "-euc", script], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )

    made = run(MAKE)
    assert made.stdout.startswith("made wheel sbom\n")
    assert made.stdout.endswith("  parley-1.0.0-py3-none-any.whl\n")
    signed = run(SIGN)
    assert signed.returncode == 0, signed.stderr
    public = key.with_suffix(".pub").read_text()
    (folder / "allowed_signers").write_text(f'releases@example.com namespaces="parley,git" {public}')
    checked = run(CHECK)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout == "parley-1.0.0-py3-none-any.whl: OK\n"
    run("git init --quiet && git init --quiet --bare origin && git remote add origin origin")
    run("git -c user.name=x -c user.email=releases@example.com commit --quiet --allow-empty --message x")
    tagged = run("export GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=releases@example.com\n" + TAG)
    assert tagged.returncode == 0, tagged.stderr
    assert run(CHECK_TAG).returncode == 0
    assert run("git -C origin verify-tag v1.0.0").returncode != 0, "it was pushed, but nobody is named who may sign"
    # a wheel that was exchanged, and sums that somebody else wrote
    (folder / "parley-1.0.0-py3-none-any.whl").write_bytes(b"another wheel")
    assert run(CHECK).returncode != 0
    run("cd dist && sha256sum parley-* > SHA256SUMS")
    assert run(CHECK).returncode != 0

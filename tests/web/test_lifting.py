"""The example of docs/frontend.md: the client's components in an app of their own, type-checked and built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.aimock import NODE, ROOT
from tests.support.documented import block

PAGE = '<!doctype html><body><div id="root"></div><script type="module" src="/src/main.tsx"></script></body>'
GUIDE = (ROOT / "docs/frontend.md").read_text()
EXAMPLE = block("docs/frontend.md", "export function Assistant()").text
START = """
import { createRoot } from 'react-dom/client'
import { Assistant } from './Assistant'

createRoot(document.getElementById('root') as HTMLElement).render(<Assistant />)
"""
MARKDOWN = """
import { Markdown } from './parley/chat/markdown/Markdown'
import { TextsProvider } from './parley/i18n/texts'

export const Assistant = () => (
  <TextsProvider>
    <Markdown text="**x**" isOpen={false} sources={0} />
  </TextsProvider>
)
"""


def named(start: str, end: str) -> list[str]:
    """The files and folders of `web/src` that the guide names between these words."""
    text = GUIDE.partition(start)[2].partition(end)[0]
    return [name for name in re.findall(r"`([\w./]+)`", text) if (ROOT / "web/src" / name).exists()]


def run(app: Path, *command: str) -> None:
    ended = subprocess.run([NODE, *command], cwd=app, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("copied", "assistant"),
    [
        (named("1. Copy the folders", "(or all"), EXAMPLE),
        (named("For a text in Markdown alone", "are enough"), MARKDOWN),
    ],
    ids=["the pane", "Markdown alone"],
)
def test_components_are_lifted_into_another_app(tmp_path: Path, copied: list[str], assistant: str) -> None:
    source = tmp_path / "src"
    assert len(copied) > 3
    for name in copied:
        own, target = ROOT / "web/src" / name, source / "parley" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if own.is_dir():
            shutil.copytree(own, target)
        else:
            shutil.copy(own, target)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "index.html").write_text(PAGE)
    (source / "main.tsx").write_text(START)
    (source / "Assistant.tsx").write_text(assistant)
    options = json.loads((ROOT / "web/tsconfig.json").read_text()) | {"include": ["src"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(options))
    run(tmp_path, "node_modules/typescript/bin/tsc", "--project", ".")
    run(tmp_path, "node_modules/vite/bin/vite.js", "build", "--logLevel", "error")
    assert list((tmp_path / "dist/assets").glob("index-*.js"))

"""The example of docs/frontend.md: the chat in an app of its own, type-checked and built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.aimock import NODE, ROOT

PAGE = (
    '<!doctype html><html><body><div id="root"></div><script type="module" src="/src/main.tsx"></script></body></html>'
)
FOLDERS = ("chat", "lib", "i18n", "ui", "models")
MARKDOWN = """
import { createRoot } from 'react-dom/client'
import { Markdown } from './chat/markdown/Markdown'
import { TextsProvider } from './i18n/texts'

createRoot(document.body).render(<TextsProvider><Markdown text="**x**" isOpen={false} sources={0} /></TextsProvider>)
"""


def example() -> str:
    found = re.findall(r"```tsx\n(.*?)```", (ROOT / "docs/frontend.md").read_text(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def run(app: Path, *command: str) -> str:
    ended = subprocess.run([NODE, *command], cwd=app, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("main", [example(), MARKDOWN], ids=["the pane", "Markdown alone"])
def test_the_chat_is_lifted_into_another_app(tmp_path: Path, main: str) -> None:
    source = tmp_path / "src"
    if main == MARKDOWN:
        for folder in ("lib", "i18n", "ui", "chat/markdown"):
            shutil.copytree(ROOT / "web/src" / folder, source / folder)
        shutil.copy(ROOT / "web/src/chat/CopyButton.tsx", source / "chat")
    else:
        for folder in FOLDERS:
            shutil.copytree(ROOT / "web/src" / folder, source / folder)
        (source / "documents").mkdir()
        for file in (ROOT / "web/src/documents").glob("DocumentsSwitch.*"):
            shutil.copy(file, source / "documents")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    (tmp_path / "index.html").write_text(PAGE)
    (source / "main.tsx").write_text(main)
    options = json.loads((ROOT / "web/tsconfig.json").read_text()) | {"include": ["src"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(options))
    run(tmp_path, "node_modules/typescript/bin/tsc", "--project", ".")
    run(tmp_path, "node_modules/vite/bin/vite.js", "build", "--logLevel", "error")
    assert list((tmp_path / "dist/assets").glob("index-*.js"))

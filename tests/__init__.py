"""Tests. Each `assert` of their helpers says what it has seen, which pytest sees to only where it is told."""

from pathlib import Path

import pytest

_FOLDERS = [folder.name for folder in Path(__file__).parent.iterdir() if folder.is_dir()]
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _FOLDERS))

"""Ollama's stream."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import BrokenStream, ContextTooLong, ProviderError, ServerError
from app.providers.ollama.wire import OllamaDecoder
from app.values import Finish, Usage
from tests.providers.reading import ndjson, read


def line(content: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": "…", "message": {"role": "assistant", "content": content}, **more}


@pytest.mark.parametrize(
    ("end", "finish"),
    [
        ({"done_reason": "stop", "prompt_eval_count": 9, "eval_count": 2}, Finish("stop", Usage(9, 2))),
        ({"done_reason": "length", "prompt_eval_count": 9, "eval_count": 2}, Finish("length", Usage(9, 2))),
        ({"done_reason": "stop", "eval_count": 2}, Finish("stop", Usage(0, 2))),
        ({}, Finish("stop", None)),
    ],
)
def test_ollama(end: dict[str, Any], finish: Finish) -> None:
    thinking = {"message": {"content": "", "thinking": "Hm"}, "done": False}
    stream = ndjson(thinking, line("H", done=False), line("i", done=False), line("", done=True, **end))
    assert read(OllamaDecoder("m"), stream) == ("Hi", finish)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": "an error was encountered while running the model"}, ServerError),
        ({"error": {"message": "no"}}, ServerError),
        ({"error": "prompt too long; exceeded max context length by 9 tokens"}, ContextTooLong),
        (line("", done=False), BrokenStream),
    ],
)
def test_ollama_failures(event: dict[str, Any], kind: type[ProviderError]) -> None:
    text, failure = read(OllamaDecoder("m"), ndjson(line("Hi", done=False), event))
    assert text == "Hi"
    assert type(failure) is kind

"""A document's body may have megabytes: what is refused of it is not built first, since memory is everybody's."""

from __future__ import annotations

import tracemalloc

import pytest

from app.api.documents import from_json
from app.errors import InvalidRequest

LISTS = "[" + ",".join(["[]"] * 1_000_000) + "]"
TOO_LONG = "metadata has at most 4000 bytes."
COSTLY = [
    (f'{{"title": "x", "content": "y", "metadata": {{"z": {LISTS}}}}}', TOO_LONG),
    (f'{{"title": "x", "content": "y", "metadata": {LISTS}}}', TOO_LONG),
    (f'{{"title": "x", "content": "y", "metadata": {{"z": {LISTS}}}, "metadata": 1}}', "metadata: expected an object"),
    (f'{{"title": "x", "content": {LISTS}}}', "content: Expected `str`, got `array`."),
    (f'{{"title": "x", "z": {LISTS}, "content": "y"}}', "z: no such field"),
]


@pytest.mark.parametrize(("body", "detail"), COSTLY, ids=[detail for _, detail in COSTLY])
def test_refusal_takes_little_memory(body: str, detail: str) -> None:
    data = body.encode()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest) as refused:
            from_json(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(refused.value).startswith(detail)
    assert refused.value.status == 422
    assert peak < 4 * len(data)


@pytest.mark.parametrize("blanks", [0, 2_000_000])
def test_it_is_the_same_document_in_a_body_of_any_length(blanks: int) -> None:
    body = b'{"title": "x", "content": "y", "metadata": {"a": [1, {"b": "c"}]}}' + b" " * blanks
    upload = from_json(body)
    assert (upload.title, upload.data, upload.metadata) == ("x", b"y", {"a": [1, {"b": "c"}]})

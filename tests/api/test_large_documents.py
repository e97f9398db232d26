"""A document's body may have megabytes: what is refused of it is not built first, since memory is everybody's."""

from __future__ import annotations

import pytest

from app.api.documents import from_json
from app.errors import InvalidRequest
from tests.api.memory import at_most

LISTS = "[" + ",".join(["[]"] * 1_000_000) + "]"
BESIDE = "The body has "
COSTLY = [
    (f'{{"title": "x", "content": "y", "metadata": {{"z": {LISTS}}}}}', BESIDE),
    (f'{{"title": "x", "content": "y", "metadata": {LISTS}}}', BESIDE),
    (f'{{"title": "x", "content": "y", "metadata": {{"z": {LISTS}}}, "metadata": {{}}}}', BESIDE),
    (f'{{"title": "x", "content": {LISTS}}}', "content: Expected `str`, got `array`."),
    (f'{{"title": "x", "content": "y", "content": {LISTS}}}', "content: Expected `str`, got `array`."),
    (f'{{"title": "x", "z": {LISTS}, "content": "y"}}', "z: no such field"),
    (f'{{"title": "x", "metadata": {LISTS}}}', "body: Object missing required field `content`."),
]


@pytest.mark.parametrize(("body", "detail"), COSTLY, ids=[detail for _, detail in COSTLY])
def test_refusal_takes_little_memory(body: str, detail: str) -> None:
    data = body.encode()
    with at_most(4 * len(data)), pytest.raises(InvalidRequest) as refused:
        from_json(data)
    assert str(refused.value).startswith(detail)
    assert refused.value.status == 422


@pytest.mark.parametrize("length", [1, 2_000_000])
def test_it_is_the_same_document_in_a_body_of_any_length(length: int) -> None:
    content = "y" * length
    body = b'{"title": "x", "metadata": {"a": [1, {"b": "c"}]}, "content": "%b"}' % content.encode() + b" " * 60_000
    upload = from_json(body)
    assert (upload.title, upload.metadata) == ("x", {"a": [1, {"b": "c"}]})
    assert upload.data == content.encode()

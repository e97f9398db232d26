"""Text as Postgres can hold it: what cannot be stored is replaced before anyone sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.writer import storable


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        ("plain", "plain"),
        ("é😀\u2028\r\n\x01\x7f\ufeff\uffff", "é😀\u2028\r\n\x01\x7f\ufeff\uffff"),
        ("a\0b", "a\ufffdb"),
        ("é\0", "é\ufffd"),
        ("\ud83d", "\ufffd"),
        ("a\udc00b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\0\ud800\0", "\ufffd\ufffd\ufffd"),
    ],
)
def test_storable(text: str, stored: str) -> None:
    assert storable(text) == stored


@given(st.text())
def test_text_that_can_be_stored_is_left_alone(text: str) -> None:
    assert storable(text) == text.replace("\0", "\ufffd")


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_comes_can_be_stored(text: str) -> None:
    stored = storable(text)
    assert "\0" not in stored
    assert stored.encode().decode() == stored
    assert storable(stored) == stored

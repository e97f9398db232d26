"""The form of personal keys: what secret scanners find, and what is known of a key without asking the database."""

from __future__ import annotations

import re
import zlib

import pytest

from app.personal_keys import PATTERN, hash_of, is_meant_as_key, is_whole, make_key


def test_form_is_the_one_that_scanners_look_for() -> None:
    for _ in range(200):
        key = make_key()
        assert len(key.text) == 56
        assert re.findall(PATTERN, f'api_key = "{key.text}"  # notebook') == [key.text]
        assert is_whole(key.text)
        assert is_meant_as_key(key.text)


def test_every_key_is_another_one() -> None:
    keys = {make_key().text[7:50] for _ in range(1000)}
    assert len(keys) == 1000
    # each of the 43 characters varies; the first one holds less than six bits
    assert all(len({key[place] for key in keys}) > 40 for place in range(1, 43))


def test_hint_shows_four_random_characters_and_the_hash_none() -> None:
    key = make_key()
    assert key.text.startswith(key.hint)
    assert len(key.hint) == len("parley_") + 4
    assert key.hash == hash_of(key.text)
    assert re.fullmatch("[0-9a-f]{64}", key.hash)


def test_checksum_is_a_crc_that_anybody_can_compute() -> None:
    """As docs/security.md describes it, for scanners."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = make_key().text
    assert sum(alphabet.index(digit) * 62**place for place, digit in enumerate(reversed(text[-6:]))) == zlib.crc32(
        text[7:50].encode()
    )


@pytest.mark.parametrize("place", range(7, 56))
def test_one_wrong_character_is_noticed(place: int) -> None:
    text = make_key().text
    wrong = "a" if text[place] != "a" else "b"
    assert not is_whole(text[:place] + wrong + text[place + 1 :])


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text.lower(),
        lambda text: text + "\n",
        lambda text: text.replace("parley_", "parley-"),
        lambda text: text[:20] + "é" + text[21:],
        lambda text: "parley_",
        lambda text: "",
    ],
)
def test_what_is_cut_or_changed_is_no_key(changed: object) -> None:
    assert not is_whole(changed(make_key().text))  # type: ignore[operator]

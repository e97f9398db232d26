"""Personal keys: their form, and the hash that the database stores of one.

A key is `parley_`, 43 random letters and digits, and a checksum of six: 56 characters, which secret scanners find by
`PATTERN`, and whose checksum tells a key from a similar text without asking anybody.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import NamedTuple

PREFIX = "parley_"
PATTERN = r"\bparley_[0-9A-Za-z]{49}\b"
"""What secret scanners look for."""
HINT_CHARACTERS = len(PREFIX) + 4
"""How much of a key is shown after it was made, so that its owner knows which one it is; 39 random characters remain
unknown."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_BITS = 256
_RANDOM_CHARACTERS = 43
"""As many as 256 bits take in base 62."""
_CHECKSUM_CHARACTERS = 6
"""As many as the 32 bits of a CRC take."""
_FORM = re.compile(PATTERN, re.ASCII)


class NewKey(NamedTuple):
    """A key that was just made. `text` is shown to its owner once; only the other two are stored."""

    text: str
    hash: str
    hint: str


def make_key() -> NewKey:
    random = _base62(secrets.randbits(_RANDOM_BITS), _RANDOM_CHARACTERS)
    text = PREFIX + random + _checksum(random)
    return NewKey(text, hash_of(text), text[:HINT_CHARACTERS])


def hash_of(text: str) -> str:
    """SHA-256 in hexadecimal. A slow hash protects what can be guessed; 256 random bits cannot, and every request is
    checked. Looking the hash up in an index tells nothing by its time, since nobody can choose a key by its hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_meant_as_key(text: str) -> bool:
    """Whether a text begins as personal keys do. No access token does."""
    return text.startswith(PREFIX)


def is_whole(text: str) -> bool:
    """Whether a text is complete and without a typing mistake, as far as its checksum tells."""
    if _FORM.fullmatch(text) is None:
        return False
    random = text[len(PREFIX) : -_CHECKSUM_CHARACTERS]
    return _checksum(random) == text[-_CHECKSUM_CHARACTERS:]


def _checksum(random: str) -> str:
    return _base62(zlib.crc32(random.encode()), _CHECKSUM_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))

"""Removes invisible and control characters from documents; databases, models or terminals would obey them."""

from __future__ import annotations

import re

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters
    "\u00ad\u180e\u200b\u2060-\u2064\ufeff"  # of no width; the joiners U+200C and U+200D are part of words
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of what is around them
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations and tags: text that is not shown
    "\ud800-\udfff\ufffe\uffff"  # no characters at all
    "]"
)
_HYPHENS = str.maketrans("\u2010\u2011", "--")
"""Hyphens with a code of their own: who looks for an order number types the usual one."""


def cleaned(text: str) -> str:
    """`text` with line ends as `\\n`, one kind of hyphen, and without control, invisible and direction-changing
    characters."""
    return _UNSEEN.sub("", _LINE_ENDS.sub("\n", text)).translate(_HYPHENS)

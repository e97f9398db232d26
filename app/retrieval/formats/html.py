"""Pages into Markdown."""

from __future__ import annotations

import re

from html_to_markdown import ConversionOptions, PreprocessingOptions, convert

from app.retrieval.clean import cleaned
from app.retrieval.formats.text import Text, decoded

_DECLARED_CHARSET = re.compile(
    rb"""<(?:meta[^>]{0,200}charset|\?xml[^>]{0,100}encoding)\s*=\s*["']?([a-zA-Z0-9_:.-]{1,40})""", re.IGNORECASE
)


def html(data: bytes, charset: str | None) -> Text:
    """The text of a page, in the charset that its sender or else the page itself names. Raises `Unreadable`."""
    if charset is None and (declared := _DECLARED_CHARSET.search(data[:4096])):
        charset = declared[1].decode()
        if charset.lower().startswith("utf-16"):
            charset = None  # a declaration that can be read byte by byte is not in it
    return page(decoded(data, charset))


def page(source: str) -> Text:
    """The text of a page's source, as Markdown."""
    options = ConversionOptions(
        extract_metadata=True,
        skip_images=True,
        exclude_selectors=["template", "noscript", "svg", "iframe", "object"],
        # a form keeps its text: every page of ASP.NET Web Forms is one
        preprocessing=PreprocessingOptions(enabled=True, remove_navigation=True, remove_forms=False),
        max_depth=500,
    )
    result = convert(cleaned(source), options)
    title = result.metadata.document.title if result.metadata is not None else None
    content = cleaned(result.content or "")
    if content.startswith("---\n") and (end := content.find("\n---\n")) >= 0:
        content = content[end + 5 :]  # the page's metadata, which is no text of it
    return Text(content.strip("\n"), "markdown", title)

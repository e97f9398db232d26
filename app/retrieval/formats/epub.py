"""Books (EPUB) into Markdown: the chapters that the book's package lists, in its order.

https://www.w3.org/TR/epub-33/ (package document, OCF container)
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from app.retrieval.formats.html import xhtml
from app.retrieval.formats.text import Text, TooLarge, Unreadable

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_ENCRYPTED = "{http://www.w3.org/2001/04/xmlenc#}CipherReference"
_PAGES = ("application/xhtml+xml", "text/html")


def epub(data: bytes, max_characters: int) -> Text:
    """The text of a book. Raises `Unreadable`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            package_name = _package_name(archive)
            package = _xml(archive, package_name)
            encrypted = _encrypted(archive)
            parts: list[str] = []
            length = 0
            for name in _chapters(package, posixpath.dirname(package_name)):
                if name in encrypted:
                    raise Unreadable("The book is protected against copying.")
                if name not in archive.NameToInfo:
                    continue  # a chapter that was left out does not cost the others
                part = xhtml(archive.read(name)).content
                parts.append(part)
                length += len(part)
                if length > max_characters:
                    raise TooLarge
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, NotImplementedError, RuntimeError) as error:
        raise Unreadable("The file is not a readable book (.epub).") from error
    title = package.findtext(".//{http://purl.org/dc/elements/1.1/}title")
    return Text("\n\n".join(filter(None, parts)), "markdown", title)


def _package_name(archive: zipfile.ZipFile) -> str:
    rootfile = _xml(archive, "META-INF/container.xml").find(f".//{_CONTAINER}rootfile")
    name = rootfile.get("full-path") if rootfile is not None else None
    if not name:
        raise KeyError("rootfile")
    return name


def _chapters(package: ElementTree.Element, folder: str) -> Iterator[str]:
    items = {item.get("id"): item for item in package.iterfind(f"{_OPF}manifest/{_OPF}item")}
    for reference in package.iterfind(f"{_OPF}spine/{_OPF}itemref"):
        item = items.get(reference.get("idref"))
        # the table of contents only repeats the chapters' names
        if item is None or item.get("media-type") not in _PAGES or "nav" in (item.get("properties") or "").split():
            continue
        yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    """The files that cannot be read without a key; in many books those are only fonts."""
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    references = _xml(archive, "META-INF/encryption.xml").iter(_ENCRYPTED)
    return {unquote(reference.get("URI") or "") for reference in references}


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(archive.read(name))  # noqa: S314 - in the worker, within its limits

"""`make licences`: every package that is shipped has a licence that this project accepts; lists them by licence."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from scripts.trust.components import SPDX, Component, UnknownLicence, python_components, web_components

ALLOWED = {
    "0BSD": "no conditions",
    "Apache-2.0": "notice",
    "BSD-2-Clause": "notice",
    "BSD-3-Clause": "notice",
    "ISC": "notice",
    "MIT": "notice",
    "MIT-0": "no conditions",
    "MIT-CMU": "notice",
    "MPL-2.0": "notice; a changed file of the package stays under it, and no file of it is changed here",
    "OFL-1.1": "fonts: notice; they are not sold by themselves, and keep their names",
    "PSF-2.0": "notice",
    "Unlicense": "no conditions",
    "Zlib": "notice",
}
"""The licences under which a package may be shipped, and what each of them asks of whoever ships it. Licences that ask
for the source of the whole (GPL, AGPL, SSPL) or forbid uses are not among them."""


def refused(components: Iterable[Component]) -> list[str]:
    """A line for each package whose licence is not accepted. Of a choice (`OR`), one accepted licence is enough."""
    return [
        f"{one.name} {one.version}: {one.licence} is not accepted; see ALLOWED in scripts/trust/licences.py"
        for one in components
        if not _accepted(SPDX.parse(one.licence))
    ]


def _accepted(expression: Any) -> bool:
    if isinstance(expression, SPDX.OR):
        return any(map(_accepted, expression.args))
    if isinstance(expression, SPDX.AND):
        return all(map(_accepted, expression.args))
    # a licence with an exception is not the licence
    return str(expression) in ALLOWED


def main() -> None:
    try:
        components = [*python_components(), *web_components()]
    except UnknownLicence as error:
        sys.exit(f"licences: {error}")
    by_licence: dict[str, list[str]] = {}
    for one in components:
        by_licence.setdefault(one.licence, []).append(one.name)
    for licence, names in sorted(by_licence.items()):
        print(f"{licence} ({len(names)}): {', '.join(names)}")
    if lines := refused(components):
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()

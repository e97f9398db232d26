"""OpenTelemetry's variables: whether they ask for traces, and which of them have a value that is not allowed.

The SDK itself takes its default in the place of a wrong value, and says so in a log that is not shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from app.settings import SettingsError, base_url, fits_a_header

EXPORTER, DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
COMPRESSIONS = ("none", "gzip", "deflate")
_HEADER = re.compile(r"[!#-'*+.0-9A-Z^-z|~-]+[ \t]*=[^\",;\\]*")
LONGEST_HOURS = 24
MOST_TREES = 1_000_000
"""Of a queue; each tree takes some kilobytes."""


class _Rule(NamedTuple):
    fits: Callable[[str], bool]
    expected: str
    """Continues "NAME must be …"."""


def traces_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether OpenTelemetry's variables ask for traces: with an address, or an exporter by name. Raises `SettingsError`
    for a value that is not allowed."""
    for complaint in complaints(environ):
        raise SettingsError(complaint)
    return _are_on(environ)


def complaints(environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each value that is not allowed, without this value, as it may be a key. Where no traces are wanted,
    there is none but for another exporter."""
    if _given(environ, EXPORTER)[1] not in ("", "otlp", "none"):
        yield f"{EXPORTER} must be otlp or none"
    elif not _are_on(environ):
        return
    for names, rule in RULES.items():
        name, text = _given(environ, *names)
        if text and not rule.fits(environ[name]):
            yield f"{name} must be {rule.expected}"
    name, address = _given(environ, *_otlp("ENDPOINT"))
    try:
        if address:
            base_url(name, address)
    except SettingsError as error:
        yield str(error)


def _are_on(environ: Mapping[str, str]) -> bool:
    exporter = _given(environ, EXPORTER)[1]
    if exporter == "none" or environ.get(DISABLED, "").strip().lower() == "true":
        return False
    return bool(exporter or _given(environ, *_otlp("ENDPOINT"))[1])


def _given(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    """The first of these variables that has a value, and this value."""
    return next(((name, text) for name in names if (text := environ.get(name, "").strip())), (names[0], ""))


def _otlp(name: str) -> tuple[str, str]:
    """A variable of the exporter: for traces, which counts first, and for all that is sent by OTLP."""
    return f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"


def _number(kind: type[int] | type[float], least: float, most: float, unit: str = "") -> _Rule:
    """Read as the SDK does."""

    def fits(text: str) -> bool:
        try:
            return least <= kind(text) <= most
        except ValueError:
            return False

    return _Rule(fits, f"a {'whole number' if kind is int else 'number'}{unit} from {least} to {most}")


def _pairs(text: str) -> bool:
    """Whether all parts are `name=value`."""
    return all(part.partition("=")[0].strip() and "=" in part for part in text.split(",") if part.strip())


def _headers(text: str) -> bool:
    """Whether the SDK takes all parts, and they can be sent."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return all(map(_HEADER.fullmatch, parts)) and fits_a_header(text + unquote(text))


def _file(text: str) -> bool:
    try:
        with Path(text).open("rb"):
            return True
    except (OSError, ValueError):
        return False


_MILLISECONDS = _number(int, 1, LONGEST_HOURS * 3_600_000, " of milliseconds")
_TREES = _number(int, 1, MOST_TREES)
_FILE = _Rule(_file, "a file that can be read")
RULES: Mapping[tuple[str, ...], _Rule] = {
    # the SDK does not strip this one
    ("OTEL_TRACES_SAMPLER",): _Rule(lambda text: text.lower() in SAMPLERS, f"one of {', '.join(SAMPLERS)}"),
    ("OTEL_TRACES_SAMPLER_ARG",): _number(float, 0, 1),
    ("OTEL_BSP_SCHEDULE_DELAY",): _MILLISECONDS,
    ("OTEL_BSP_EXPORT_TIMEOUT",): _MILLISECONDS,
    ("OTEL_BSP_MAX_QUEUE_SIZE",): _TREES,
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",): _TREES,
    ("OTEL_RESOURCE_ATTRIBUTES",): _Rule(_pairs, "name=value, separated by commas"),
    (DISABLED,): _Rule(lambda text: text.strip().lower() in ("true", "false"), "true or false"),
    _otlp("PROTOCOL"): _Rule(
        lambda text: text.strip() == "http/protobuf", "http/protobuf, whose port is 4318 in most installations"
    ),
    _otlp("HEADERS"): _Rule(
        _headers, 'name=value of ASCII, separated by commas, with %XX for any of " , ; \\ in a value'
    ),
    _otlp("TIMEOUT"): _number(float, 0.01, LONGEST_HOURS * 3600, " of seconds"),
    _otlp("COMPRESSION"): _Rule(lambda text: text.strip().lower() in COMPRESSIONS, f"one of {', '.join(COMPRESSIONS)}"),
    _otlp("CERTIFICATE"): _FILE,
    _otlp("CLIENT_CERTIFICATE"): _FILE,
    _otlp("CLIENT_KEY"): _FILE,
}
"""The variables that the SDK is left to read, and what each may be."""

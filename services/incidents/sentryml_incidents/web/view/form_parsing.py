"""What people type for a value, read and written: spans of time with their units, percentages, counts, numbers.

What is written is read as the same value again, to the last digit.
"""

from __future__ import annotations

import re
from math import isfinite

from sentryml_common.text import UNITS

NAMES = {
    "s": ("s", "sec", "second", "seconds"),
    "min": ("min", "m", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "d": ("d", "day", "days"),
}
SECONDS = {name: size for unit, size in UNITS for name in NAMES[unit]} | dict.fromkeys(
    ("w", "week", "weeks"), 7 * 86_400
)

ON, OFF = "on", "off"

_PART = re.compile(r"(\d+(?:[.,]\d+)?(?:e-\d+)?)\s*([a-z]+)\s*", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class NotRead(ValueError):
    """Bad request; the message says what to write."""


def read_span(text: str) -> float:
    """Seconds: of `1 h`, `1 h 30 min`, `7d`.

    Raises:
        NotRead: without a unit, or with a strange one.
    """
    rest, seconds = text.strip().lower(), 0.0
    if _NUMBER.fullmatch(rest):
        raise NotRead(f"write the unit too: {rest} s, {rest} min, {rest} h or {rest} d")
    while rest:
        part = _PART.match(rest)
        if part is None or part[2] not in SECONDS:
            raise NotRead("write a time with its unit, such as 30 s, 5 min, 1 h 30 min or 7 d")
        seconds += float(part[1].replace(",", ".")) * SECONDS[part[2]]
        rest = rest[part.end() :]
    return seconds


def write_span(seconds: float) -> str:
    """`7 d`, `1 h 30 min`; what is no whole number of seconds, in seconds alone, so that not a digit is lost."""
    if not float(seconds).is_integer():
        return f"{_plain(seconds)} s"
    rest, parts = int(seconds), []
    for name, size in UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts) or "0 s"


def read_optional_span(text: str) -> float | None:
    """The same, or none: of `off`.

    Raises:
        NotRead: it is neither.
    """
    return None if text.strip().lower() == OFF else read_span(text)


def read_switch(text: str) -> bool:
    """`on` or `off`.

    Raises:
        NotRead: it is neither.
    """
    if (switch := text.strip().lower()) not in (ON, OFF):
        raise NotRead("is neither on nor off")
    return switch == ON


def write_switch(on: bool) -> str:
    """`on` or `off`."""
    return ON if on else OFF


def write_optional_span(seconds: float | None) -> str:
    """`7 d`, or `off`."""
    return OFF if seconds is None else write_span(seconds)


def read_share(text: str) -> float:
    """A part from 0 to 1: of `50 %` or `0.5`.

    Raises:
        NotRead: it is no number.
    """
    text = text.strip()
    return read_number(text[:-1]) / 100 if text.endswith("%") else read_number(text)


def write_share(part: float) -> str:
    """`50 %`."""
    percent = float(f"{100 * part:.12g}")
    return f"{_plain(percent)} %" if percent / 100 == part else _plain(part)


def read_number(text: str) -> float:
    """A number, with a point or a comma.

    Raises:
        NotRead: it is none.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text) or not isfinite(number := float(text.replace(",", "."))):
        raise NotRead("write a number, such as 0.1")
    return number


def write_number(number: float) -> str:
    """`0.1`."""
    return _plain(number)


def read_count(text: str) -> int:
    """A whole number.

    Raises:
        NotRead: it is none.
    """
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotRead("write a whole number, such as 3")
    return int(text)


def _plain(number: float) -> str:
    number = float(number)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)

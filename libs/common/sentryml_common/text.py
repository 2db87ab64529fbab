"""Text for people: what strangers wrote in one visible line, spans of time in two units, numbers of things."""

from __future__ import annotations

import re
from datetime import timedelta

INVISIBLE = re.compile(
    "["
    "\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"  # controls, but tabs and line ends
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the reading direction around
    "\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # what shows nothing
    "\ud800-\udfff"  # halves of surrogate pairs
    "]"
)
"""Not the joiners U+200C and U+200D: scripts and emoji need them."""
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def visible(text: str) -> str:
    """The text with what cannot be seen in it, or changes how the rest is read, written out: `[U+202E]`.

    For whatever strangers have written (names, categories, notes), in every text for people; tabs and line ends stay.
    Doing it twice changes nothing. Data for programs are left as they are.
    """
    return INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def cut(text: str, longest: int) -> str:
    """The text in one visible line, shortened to `longest` characters with an ellipsis if it has more."""
    line = " ".join(visible(text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def duration(span: timedelta) -> str:
    """A span of time in its two largest units, for example `5 h 12 min`; less than a second as such: `0.3 s`."""
    exact = span.total_seconds()
    if 0 < exact < 1:
        return f"{exact:.2g} s"
    seconds = max(0, round(exact))
    parts = []
    for name, size in UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def count_of(number: int, noun: str) -> str:
    """`1 day`, `7 days`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def capital(text: str) -> str:
    """The text with a capital first."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A message for programs, as people read it: a capital first, a full stop at the end."""
    return f"{capital(text).rstrip('.')}."

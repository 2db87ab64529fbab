"""Text for people: what strangers wrote in one visible line, spans of time in two units."""

from __future__ import annotations

import re
from datetime import timedelta

# What turns the reading direction around, and characters that are none.
INVISIBLE = re.compile("[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def cut(text: str, longest: int) -> str:
    """The text in one visible line, shortened to `longest` characters with an ellipsis if it has more."""
    line = " ".join(INVISIBLE.sub("", text).split())
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

"""Where a run of the tests spent its time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

SLOWEST, SHOWN = 50, 15


def summary(reports: Iterable[pytest.TestReport]) -> tuple[str, str]:
    """All that is worth keeping, and the part of it that is shown at the end of a run. Set-up, call and teardown of a
    test are lines of their own; seconds of several workers add up."""
    found = sorted(reports, key=lambda each: -each.duration)
    lines = [f"{each.duration:8.2f} s  {each.when:8}  {each.nodeid}" for each in found[:SLOWEST]]
    files, folders = defaultdict[str, float](float), defaultdict[str, float](float)
    for each in found:
        file = Path(each.nodeid.partition("::")[0])
        files[str(file)] += each.duration
        folders[str(Path(*file.parent.parts[:3]))] += each.duration
    parts = (
        ["Slowest:", *lines],
        ["Seconds by folder:", *_table(folders)],
        ["Seconds by file:", *_table(files)],
    )
    shown = ["Slowest:", *lines[:SHOWN], "Seconds by folder:", *_table(folders)]
    return "".join(f"{line}\n" for part in parts for line in part), "\n".join(shown)


def _table(seconds: Mapping[str, float]) -> list[str]:
    return [f"{spent:8.2f} s  {name}" for name, spent in sorted(seconds.items(), key=lambda each: -each[1])]

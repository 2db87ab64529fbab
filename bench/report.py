"""Figures of a benchmark: ours, the rival's of the same minute, and their ratio."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: `rival` and `ratio` are None where nothing was run beside us."""

    name: str
    ours: float
    rival: float | None = None
    ratio: float | None = None


def show(title: str, figures: list[Figure]) -> None:
    """Write a table of figures to standard output."""
    rows = [[each.name, *map(_short, (each.ours, each.rival, each.ratio))] for each in figures]
    say_table(title, ["what", "ours", "rival", "ratio"], rows)


def say_table(title: str, headings: list[str], rows: list[list[str]]) -> None:
    """Write a table to standard output, in Markdown: docs/benchmarks.md takes it as it is."""
    lines = [f"\n### {title}\n", _line(headings), _line(["---", *["---:"] * (len(headings) - 1)])]
    say_line("\n".join([*lines, *map(_line, rows)]))


def say_line(text: str) -> None:
    """Write to standard output at once, also where that is a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

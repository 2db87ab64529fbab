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
    """Write a table to standard output, in Markdown."""
    width = max(len(figure.name) for figure in figures)
    lines = [
        f"\n### {title}\n",
        f"| {'what':{width}} | ours | rival | ratio |",
        f"|{'-' * (width + 2)}|---:|---:|---:|",
    ]
    for figure in figures:
        values = " | ".join(_short(value) for value in (figure.ours, figure.rival, figure.ratio))
        lines.append(f"| {figure.name:{width}} | {values} |")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

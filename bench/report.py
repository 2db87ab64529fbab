"""What benchmarks measure with, and their figures: ours, the rival's of the same minute, and their ratio."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

RIVALS_PYTHON = Path(__file__).parents[1] / ".venv-rivals" / "bin" / "python"
"""Runs what only the rivals' environment has."""


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


def say(line: str) -> None:
    """Say on standard error how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")


@contextmanager
def stopped_by_ctrl_c() -> Iterator[None]:
    """End the process without a traceback then; a shell may have had Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit("stopped")


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches all processes; the parent ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds that a process has used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def p95_of(ask: Callable[[], Awaitable[object]], asked: int) -> float:
    """The 95th percentile of the milliseconds that asking takes."""
    times = []
    for _ in range(asked):
        began = time.perf_counter()
        await ask()
        times.append(1000 * (time.perf_counter() - began))
    return p95(times)


def p95(times: list[float]) -> float:
    """The 95th percentile."""
    return float(np.percentile(times, 95))


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

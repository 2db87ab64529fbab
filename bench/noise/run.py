"""`make bench-noise`: how often chance alone opens an incident, and how soon a real step does.

Prints two tables: false incidents per model-month without drift, by our rule and by bare thresholds, and the
delay of detection after a step. The same seed gives the same tables, however many processes share the work.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from bench.noise.report import Row, Tallies, show_tallies
from bench.noise.simulation import Case, Tally, simulate
from bench.noise.traffic import Traffic
from bench.report import leave_interrupts_to_the_parent, say_line
from sentryml_common.contracts.monitor import DAY, HOUR, MonitorSettings

DEFAULT_SEED = 20261102
EVENTS_PER_HOUR = {DAY: (5, 10, 30, 120, 300, 1000, 3000), HOUR: (30, 60, 120, 300, 1000, 3000)}
"""By length of the current window in seconds; all else in the monitor is default."""
STEPS = (0.0, 0.15, 0.34, 1.0)
DAY_CORRELATIONS, DAYS_OF_EVENTS_PER_HOUR = (0.001, 0.005, 0.01), (30, 120)
AT_ONCE = 50


def main() -> int:
    """Simulate everything, show how far it is, print the tables."""
    arguments = _parser().parse_args()
    console = Console(stderr=True)
    began = time.monotonic()
    try:
        tallies = _simulate_all(list(work(arguments.model_months, arguments.seed)), arguments.processes, console)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    show_tallies(tallies)
    minutes = (time.monotonic() - began) / 60
    say_line(f"seed {arguments.seed}, {minutes:.1f} minutes on {arguments.processes} of {os.cpu_count()} cores")
    return 0


def work(models: int, seed: int) -> Iterator[tuple[Row, Case]]:
    """The whole benchmark in pieces that can be done in any order, the longest first."""
    for step_psi in STEPS:
        for window, volumes in EVENTS_PER_HOUR.items():
            for volume in volumes:
                row = Row(window, volume, step_psi)
                for first in range(0, models, AT_ONCE):
                    traffic, monitor = Traffic(volume, step_psi), MonitorSettings(current_seconds=window)
                    chance = (seed, window, volume, round(step_psi * 100), first)
                    yield row, Case(traffic, monitor, min(AT_ONCE, models - first), chance)
    for correlation in DAY_CORRELATIONS:
        for volume in DAYS_OF_EVENTS_PER_HOUR:
            row = Row(DAY, volume, 0.0, correlation)
            for first in range(0, models, AT_ONCE):
                traffic = Traffic(volume, day_correlation=correlation)
                chance = (seed, DAY, volume, round(correlation * 1000), first, 1)
                yield row, Case(traffic, MonitorSettings(), min(AT_ONCE, models - first), chance)


def _simulate_all(pieces: list[tuple[Row, Case]], processes: int, console: Console) -> Tallies:
    tallies: Tallies = {}
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with (
        Progress(*columns, console=console, transient=True) as progress,
        get_context("spawn").Pool(processes, leave_interrupts_to_the_parent) as pool,
    ):
        shown = progress.add_task("simulating", total=len(pieces))
        for row, tally in pool.imap_unordered(_simulate_one, pieces):
            tallies.setdefault(row, Tally()).add(tally)
            progress.update(shown, advance=1, description=f"simulated {row}")
    return tallies


def _simulate_one(piece: tuple[Row, Case]) -> tuple[Row, Tally]:
    row, case = piece
    return row, simulate(case)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-noise", description=__doc__)
    parser.add_argument(
        "--model-months", type=_positive, default=200, help="quiet months, and steps, per row (default 200)"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help=f"default {DEFAULT_SEED}")
    parser.add_argument("--processes", type=_positive, default=os.cpu_count(), help="default: one per core")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)

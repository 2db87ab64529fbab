"""The tables of `make bench-noise`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.noise.incidents import Rule
from bench.noise.simulation import FOLLOWED_DAYS, Tally
from bench.report import say_table
from sentryml_common.contracts.monitor import DAY, HOUR
from sentryml_statistics.comparison.chi_square import inverse_survival


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A kind of model: its monitor's current window in seconds, its volume, the step of its scores (0: none), and how
    much scores of one day are alike (0: not at all)."""

    window: int
    events_per_hour: int
    step_psi: float
    day_correlation: float = 0.0

    def __str__(self) -> str:
        step = f", step of PSI {self.step_psi:g}" if self.step_psi else ""
        days = f", days alike by {self.day_correlation:g}" if self.day_correlation else ""
        return f"{self.window // HOUR} h window, {self.events_per_hour} events/h{step}{days}"


Tallies = dict[Row, Tally]


def show_tallies(tallies: Tallies) -> None:
    """Write two tables to standard output: false incidents, then delays; default windows first."""
    rows = sorted(tallies, key=lambda row: (-row.window, row.events_per_hour, row.step_psi, row.day_correlation))
    quiet = [row for row in rows if not row.step_psi and not row.day_correlation]
    _show_false_incidents(tallies, quiet)
    _show_days(tallies, [row for row in rows if row.day_correlation])
    _show_delays(tallies, quiet, sorted({row.step_psi for row in rows} - {0.0}))


def _show_false_incidents(tallies: Tallies, quiet: list[Row]) -> None:
    rows = []
    for row in quiet:
        tally = tallies[row]
        rates = (rate(tally.opened[rule], tally.model_months) for rule in Rule)
        rows.append([_window(row), str(row.events_per_hour), *rates, f"{tally.model_months:.0f}"])
    title = "False incidents per model-month, no drift (95 % interval)"
    say_table(title, ["current window", "events/h", *Rule, "model-months"], rows)


def _show_days(tallies: Tallies, rows: list[Row]) -> None:
    shown = [
        [
            f"{row.day_correlation:g}",
            str(row.events_per_hour * 24),
            *(rate(tallies[row].opened[rule], tallies[row].model_months) for rule in Rule),
        ]
        for row in rows
    ]
    title = "False incidents per model-month where days differ, default window (95 % interval)"
    say_table(title, ["correlation within a day", "events a day", *Rule], shown)


def _show_delays(tallies: Tallies, quiet: list[Row], steps: list[float]) -> None:
    rows = []
    for row in quiet:
        found = (delay(tallies[Row(row.window, row.events_per_hour, step)].delays) for step in steps)
        rows.append([_window(row), str(row.events_per_hour), *found])
    title = f"Delay from a step to its incident, our rule: median / 90 % (found within {FOLLOWED_DAYS} days)"
    say_table(title, ["current window", "events/h", *(f"PSI {step:g}" for step in steps)], rows)


def rate(incidents: int, model_months: float) -> str:
    """Incidents per model-month with the exact interval of a Poisson count (Garwood, Biometrika 28, 1936)."""
    least = inverse_survival(0.975, 2 * incidents) / 2 if incidents else 0.0
    most = inverse_survival(0.025, 2 * incidents + 2) / 2
    return f"{incidents / model_months:.3g} ({least / model_months:.2g} – {most / model_months:.2g})"


def delay(hours: list[float]) -> str:
    """Median and 90th percentile over all steps, those that were not found counting as endless."""
    found = sum(np.isfinite(hours)) / len(hours)
    # Of values of which some are infinite no mean can be taken, so no percentile between two of them.
    median, ninth = np.percentile(hours, [50, 90], method="higher").tolist()
    return f"{_time(median)} / {_time(ninth)} ({found:.0%})"


def _time(hours: float) -> str:
    if not np.isfinite(hours):
        return "–"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:.1f} h"


def _window(row: Row) -> str:
    return f"{row.window // HOUR} h (default)" if row.window == DAY else f"{row.window // HOUR} h"

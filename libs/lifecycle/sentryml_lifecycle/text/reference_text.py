"""A model's reference in words: what it is made of, when there will be one, and what was found against it."""

from __future__ import annotations

from datetime import timedelta

from sentryml_common.contracts.evaluation import Evaluation, Level, SlowDrift
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.reference import Reference
from sentryml_common.text import capital, duration
from sentryml_lifecycle.text.number_format import share, slow_psi_line
from sentryml_lifecycle.text.wording import between
from sentryml_statistics.comparison.slow_drift import LEAST_COVERAGE


def made_of(reference: Reference) -> str:
    """`Made of 8,000 events of the model, from … to ….`"""
    if reference.start is None or reference.end is None:
        return f"An uploaded histogram of {reference.events:,} events."
    start, end = between(reference.start, reference.end)
    return f"Made of {reference.events:,} events of the model, from {start} to {end}."


def when_made(monitor: Monitor, latest: Evaluation | None) -> str:
    """When a model without a reference will have one."""
    if not monitor.enabled:
        return "There is no reference, and none is made while the monitor is switched off."
    if latest is None or latest.baseline.coverage < LEAST_COVERAGE:
        there = share(latest.baseline.coverage) if latest is not None and latest.baseline.coverage else "nothing"
        whole = duration(timedelta(seconds=monitor.baseline_seconds))
        return (
            "There is no reference yet: it is made from the first evaluation at level ok with a whole baseline. "
            f"Of the {whole} of the baseline, {there} is there."
        )
    if latest.level is not Level.OK or monitor.normal_time.drift_lasts:
        return "There is no reference yet: it is made as soon as the predictions match their baseline."
    return "There is no reference yet: it is made from the next evaluation at level ok, within about an hour."


def found_slowly(found: SlowDrift) -> tuple[str, ...]:
    """One sentence per signal: `Score: PSI 0.04 against the reference, calm below 0.10.`"""
    return tuple(
        f"{capital(slow_psi_line(each.signal, each.psi or 0.0, each.warn_at or 0.0))}." for each in found.signals
    )

"""What a backtest found, for the terminal and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sentryml.command.backtest.outcomes import Opened, Outcome, Tried
from sentryml.command.monitors.files import in_words
from sentryml.command.terminal import Terminal
from sentryml_common.text import duration
from sentryml_statistics.time.coverage import warm_up_seconds

COULD_SEE = ("ok", "warn", "critical")


def show(tried: Tried, terminal: Terminal) -> None:
    """One model."""
    first = tried.outcomes[0]
    span = f"{tried.start:%Y-%m-%d %H:%M} to {tried.end:%Y-%m-%d %H:%M} UTC"
    terminal.say(f"\n{tried.model_id}: {tried.events:,} events from {span}")
    terminal.say(verdict(tried, first))
    if tried.segments_left_out:
        terminal.say(tried.segments_left_out)
    if first.incidents:
        terminal.table(("opened (UTC)", "lasted", "severity", "PSI", "alerts", "why"), _rows(tried, first))
    if len(tried.outcomes) > 1:
        terminal.say()
        terminal.table(
            ("settings", "incidents", "critical", "alerts", "live"), [_sum(tried, each) for each in tried.outcomes]
        )


def verdict(tried: Tried, outcome: Outcome) -> str:
    """What one variant came to, in a sentence or two; where nothing could be said, why."""
    total, seen = outcome.levels.total(), sum(outcome.levels[level] for level in COULD_SEE)
    if not seen:
        why = _why_none(outcome)
        return f"None of {total:,} evaluations had a result{why}."
    count = len(outcome.incidents)
    incidents = "No incident" if not count else f"{count} {'incident' if count == 1 else 'incidents'}"
    return f"{incidents} with the {outcome.variant.name}, in {seen:,} evaluations that had enough data, of {total:,}."


def _why_none(outcome: Outcome) -> str:
    settings = outcome.variant.settings
    if outcome.levels["too_few_samples"]:
        return f": too few events, {settings.samples_needed} are needed in each window"
    return f": the file is too short, a model warms up for {in_words(warm_up_seconds(settings))}"


def _rows(tried: Tried, outcome: Outcome) -> list[tuple[str, ...]]:
    return [
        (
            f"{each.incident.opened_at:%Y-%m-%d %H:%M}",
            lasted(tried, each),
            str(each.incident.severity),
            f"{each.incident.peak_psi:.2f}",
            str(each.incident.alerts),
            each.found.why,
        )
        for each in outcome.incidents
    ]


def lasted(tried: Tried, opened: Opened) -> str:
    """How long an incident was live, and whether it still is."""
    text = duration(opened.lasted(tried.end))
    return text if opened.until else f"{text}, and on"


def live_share(tried: Tried, outcome: Outcome) -> float:
    """In which part of the time an incident was live."""
    whole = (tried.end - tried.start).total_seconds()
    return sum(each.lasted(tried.end).total_seconds() for each in outcome.incidents) / whole if whole else 0.0


def _sum(tried: Tried, outcome: Outcome) -> tuple[str, ...]:
    figures = len(outcome.incidents), outcome.critical, outcome.alerts
    return outcome.variant.name, *map(str, figures), f"{live_share(tried, outcome):.0%}"


def document(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """All of it, for programs."""
    return [
        {
            "model_id": each.model_id,
            "events": each.events,
            "from": each.start.isoformat(),
            "to": each.end.isoformat(),
            "segments_left_out": each.segments_left_out,
            "variants": [_outcome(outcome) for outcome in each.outcomes],
        }
        for each in tried
    ]


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.variant.name,
        "settings": dict(outcome.variant.changes),
        "evaluations": dict(outcome.levels),
        "alerts": outcome.alerts,
        "incidents": [
            {
                "opened_at": each.incident.opened_at.isoformat(),
                "until": each.until.isoformat() if each.until else None,
                "severity": str(each.incident.severity),
                "peak_psi": each.incident.peak_psi,
                "peak_at": each.incident.peak_at.isoformat(),
                "reopened": each.incident.reopened,
                "alerts": each.incident.alerts,
                "headline": each.found.headline,
                "why": list(each.found.reasons),
            }
            for each in outcome.incidents
        ],
    }

"""An incident at the present moment in one sentence, and times as people read them. Pure; times are UTC and exact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sentryml_common.contracts.transition import Severity
from sentryml_common.text import UNITS, duration
from sentryml_lifecycle.silence import Silence
from sentryml_lifecycle.snapshot import Incident, Snapshot
from sentryml_lifecycle.text.number_format import LONGEST_VALUE, quoted
from sentryml_lifecycle.worsening import drifting_segments

MOST_NAMED = 2


def headline(snapshot: Snapshot, incident: Incident, now: datetime) -> str:
    """The incident in one sentence."""
    return _of_silence(snapshot, incident, now) or _of_drift(snapshot, incident, now)


def _of_silence(snapshot: Snapshot, incident: Incident, now: datetime) -> str:
    """An incident of a model that is silent, or was so and nothing else; empty for others."""
    if incident.live and snapshot.silence.since is not None:
        drifted = f" It was drifting {_HOW[incident.severity]} (PSI {incident.psi:.2f})."
        silent = no_predictions(incident.model_id, snapshot.silence, now)
        return silent if incident.no_predictions else f"{silent}{drifted}"
    if incident.no_predictions:
        lasted = _lasted(incident, now)
        return f"No predictions came from {incident.model_id} for {lasted}; the incident is {incident.state}."
    return ""


def _lasted(incident: Incident, now: datetime) -> str:
    return duration((incident.resolved_at or incident.closed_at or now) - incident.opened_at)


def _of_drift(snapshot: Snapshot, incident: Incident, now: datetime) -> str:
    how, lasted = _HOW[incident.severity], _lasted(incident, now)
    peak = f"up to a PSI of {incident.peak_psi:.2f}"
    where = in_segments(drifting_segments(snapshot.notified.findings))
    if not incident.live:
        worst = f"{_HOW[incident.worst_severity]} at its worst, {peak}"
        if incident.resolved_at is None:
            return f"{incident.model_id} had drifted for {lasted}, {worst}, when the incident was closed."
        return f"{incident.model_id} drifted for {lasted}, {worst}; the incident is {incident.state}."
    if snapshot.evaluation_paused_since is not None:
        paused = duration(now - snapshot.evaluation_paused_since)
        return (
            f"{incident.model_id} was drifting {how}{where} (PSI {incident.psi:.2f}); for {paused} there has been too "
            "little data to tell whether it still does."
        )
    if snapshot.is_slow(incident.severity):
        since = moment(snapshot.slow.since or incident.opened_at)
        return f"{incident.model_id} has drifted slowly since {since}; PSI {incident.psi:.2f} against its reference."
    if snapshot.counts.ok:
        return f"{incident.model_id} has drifted{where} for {lasted}, {peak}; it was clean at the latest evaluation."
    return f"{incident.model_id} has been drifting {how}{where} for {lasted}; latest PSI {incident.psi:.2f}."


def in_segments(segments: Sequence[str], longest: int = LONGEST_VALUE) -> str:
    """` in segment “eu”`, ` in segments “eu” and “us”`, ` in 3 segments`; empty without."""
    if not segments:
        return ""
    if len(segments) > MOST_NAMED:
        return f" in {len(segments)} segments"
    named = " and ".join(quoted(each, longest) for each in segments)
    return f" in segment{'s' if len(segments) > 1 else ''} {named}"


def no_predictions(model_id: str, silence: Silence, now: datetime) -> str:
    """Since when a model is silent, and how many predictions usually come at this time."""
    since = "" if silence.since is None else f" since {clock(silence.since, now)}"
    usual = usual_rate(silence.usual_per_hour)
    return f"No predictions have come from {model_id}{since}{f'; usually {usual} at this time' if usual else ''}."


def usual_rate(per_hour: float | None) -> str:
    """`1,000 an hour`, `12 a day`, to two digits; empty where none usually come or it is not known."""
    if not per_hour:
        return ""
    number, unit = (per_hour, "an hour") if per_hour >= 1 else (24 * per_hour, "a day")
    return f"{float(f'{number:.2g}'):,.0f} {unit}" if number >= 1 else "less than 1 a day"


def moment(at: datetime) -> str:
    """`23 Nov 2026, 09:15:07 UTC`."""
    return f"{at:%-d %b %Y, %H:%M:%S} UTC"


def stamp(at: datetime) -> str:
    """A moment to the microsecond, as written in a URL: `2026-11-23T09:15:07.000250Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def between(start: datetime, end: datetime) -> tuple[str, str]:
    """Both ends of a span, with what they share said once: `23 Nov 2026, 09:15:00` and `10:15:00 UTC`."""
    return moment(start).removesuffix(" UTC"), clock(end, start)


def clock(at: datetime, now: datetime) -> str:
    """`09:15:07 UTC` if that is today, else with its date."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else moment(at)


def ago(now: datetime, at: datetime) -> str:
    """`3 min ago`, `in 2 h`."""
    length = now - at
    seconds = abs(length.total_seconds())
    unit, name = next(((size, name) for name, size in UNITS if seconds >= size), (1, "s"))
    text = f"{int(seconds // unit)} {name}"
    return f"{text} ago" if length >= timedelta(0) else f"in {text}"


_HOW = {Severity.WARN: "noticeably", Severity.CRITICAL: "critically"}

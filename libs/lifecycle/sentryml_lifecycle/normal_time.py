"""How normal time changes: an excluded interval for each run of confirmed drift.

    evaluations     ok   warn  warn  critical   …   ok  ok  ok
    windows        ├──┤  ├──┤                           ├──┤
    excluded             ├──────────────────────────────────┤
                         start of the first one's           end of the one that confirmed that data are clean
                         current window

It is a state of its own beside the incident: whatever people do to an incident, closing and latches, a monitor that is
switched off, and silence neither begin nor end an interval. Only a person's word does (`on_word_about_normal`). While
one lasts, the baseline is held: it is made of normal time before it. So nothing that drifted becomes normal by waiting.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_common.contracts.transition import Severity
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_statistics.time.normal_time import newest_normal

RETAINED = 2
"""More than is kept: what is dropped here must not be reachable, however long coarse panes are."""


def with_normal_time(seen: Snapshot, evaluation: Evaluation) -> Snapshot:
    """The snapshot, in which the evaluation is counted already, with the normal time that it leads to."""
    normal = seen.normal_time
    if normal.drift_lasts:
        return replace(seen, normal_time=ended(normal, evaluation.current.end)) if seen.confirms_clean else seen
    if seen.confirmed_drift is None or _is_called_normal(seen, evaluation.evaluated_at):
        return seen
    start = seen.counts.drift_from or evaluation.current.start
    began = begun(normal, start, evaluation.evaluated_at, seen.settings)
    return replace(seen, normal_time=without_unreachable(began, evaluation.evaluated_at, seen.settings))


def _is_called_normal(seen: Snapshot, now: datetime) -> bool:
    """Whether a person has said that this drift is normal, and it has not got worse than it was then."""
    incident = seen.incident
    if incident is None or not incident.called_normal(now):
        return False
    return seen.confirmed_drift is not Severity.CRITICAL or incident.severity is Severity.CRITICAL


def begun(normal: NormalTime, start: datetime, now: datetime, settings: MonitorSettings) -> NormalTime:
    """Normal time with an interval more, which has no end yet. It goes on with the last one where that reaches into it,
    or ended so recently that the incident would reopen. A person's word can no longer be undone then."""
    kept = list(normal.excluded)
    start, confirmed_at = start if normal.since is None else max(start, normal.since), now
    reopens_until = timedelta(seconds=settings.reopen_window_seconds)
    while kept and (last := kept[-1].end) is not None and (last >= start or now - last <= reopens_until):
        continued = kept.pop()
        start, confirmed_at = min(start, continued.start), continued.confirmed_at
    return _next(normal, (*kept, ExcludedInterval(start=start, confirmed_at=confirmed_at)))


def ended(normal: NormalTime, end: datetime) -> NormalTime:
    """Normal time with its last interval over."""
    return _next(normal, (*normal.excluded[:-1], normal.excluded[-1].model_copy(update={"end": end})))


def without_unreachable(normal: NormalTime, now: datetime, settings: MonitorSettings) -> NormalTime:
    """Normal time without intervals that are older than everything that is kept for its windows."""
    spans = newest_normal(normal, now.timestamp(), RETAINED * settings.reach_seconds)
    oldest = spans[0][0] if spans else -inf
    kept = tuple(each for each in normal.excluded if each.end is None or each.end.timestamp() > oldest)
    return normal.model_copy(update={"excluded": kept})


def _next(normal: NormalTime, excluded: tuple[ExcludedInterval, ...]) -> NormalTime:
    return NormalTime(
        revision=normal.revision + 1, since=normal.since, reference_id=normal.reference_id, excluded=excluded
    )

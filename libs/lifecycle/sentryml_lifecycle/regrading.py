"""What a stored evaluation says under other settings.

Stored are, of every signal, PSI, counts, noise floor and level, and under which version of the monitor they were found.
So thresholds and the least numbers of events can be applied again, exactly. What the PSI itself depends on cannot:
where that differs, the stored PSI is used instead, and the grade is approximate. Where nothing was found,
because there was too little data, a monitor that asks for less might have found something: unknown. Segments are left
out: of those that did not drift nothing is stored.
"""

from __future__ import annotations

from enum import StrEnum

from sentryml_common.contracts.evaluation import (
    RANK,
    Evaluation,
    InsufficientReason,
    Level,
    NoSeason,
    SignalEvaluation,
    Window,
    level_of,
)
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_statistics.time.normal_time import Span, newest_normal

CANNOT = {
    "signals": "a signal that was not watched has no stored PSI; with one left out, noise floors move",
    "baseline_seconds": "the stored PSI is of another baseline window",
    "current_seconds": "the stored PSI is of another current window",
    "bins": "the stored PSI is of other bins",
    "false_incidents_per_model_month": "the stored noise floor is of another false-alarm budget",
    "season_seconds": "the stored evaluations were checked against another season",
    "time_zone": "the stored evaluations were checked against another season",
    "every_seconds": "none was made at other times; of those made, as many are used as were asked for",
}
"""What stored PSI and noise floor depend on, and so cannot answer for other values of."""

SEGMENTS_LEFT_OUT = (
    "Segments are left out: these are the incidents that all predictions together would have opened, and segments "
    "evaluated by themselves would have opened others."
)


def segments_left_out(*settings: MonitorSettings) -> str | None:
    """What to say of incidents that some monitors would have opened, where one of them evaluates segments."""
    return SEGMENTS_LEFT_OUT if any(each.evaluate_segments for each in settings) else None


class Basis(StrEnum):
    """How far a regraded evaluation is what the monitor would have found."""

    EXACT = "exact"
    APPROXIMATE = "approximate"
    UNKNOWN = "unknown"


LEAST_COMMON = 0.9
"""Two baselines are one where they share this part of their time: edges snap to panes."""


def is_compared_with(evaluation: Evaluation, normal: NormalTime, baseline_seconds: float) -> bool:
    """Whether an evaluation's baseline is the newest time that `normal` calls so."""
    if evaluation.level is Level.INSUFFICIENT_DATA:
        return True
    counted = _spans(evaluation.baseline)
    due = newest_normal(normal, evaluation.current.start.timestamp(), baseline_seconds)
    common = sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in counted for b in due)
    return common >= LEAST_COMMON * max(sum(end - start for start, end in spans) for spans in (counted, due))


def _spans(window: Window) -> list[Span]:
    """The time that was counted (epoch seconds)."""
    starts = [window.start, *(each.end for each in window.left_out)]
    ends = [*(each.start for each in window.left_out), window.end]
    return [(start.timestamp(), end.timestamp()) for start, end in zip(starts, ends, strict=True)]


def what_differs(made_under: MonitorSettings, settings: MonitorSettings) -> tuple[str, ...]:
    """The settings that stored figures depend on, and that differ."""
    differing = {name for name in CANNOT if getattr(made_under, name) != getattr(settings, name)}
    if set(made_under.signals) == set(settings.signals):
        differing.discard("signals")
    if settings.season_seconds is None:
        differing -= {"season_seconds", "time_zone"}
    return tuple(name for name in CANNOT if name in differing)


class Regrading:
    """Grades evaluations that were made under some settings as others would have it."""

    def __init__(self, made_under: MonitorSettings, settings: MonitorSettings) -> None:
        self._made_under, self._settings = made_under, settings
        self.same = made_under == settings
        self.differs = what_differs(made_under, settings)

    @property
    def thins_out(self) -> bool:
        """Whether evaluations were made more often than the others ask for."""
        return self._settings.every_seconds > self._made_under.every_seconds

    def of(self, evaluation: Evaluation) -> tuple[Evaluation, Basis]:
        """The evaluation as the other settings would have it."""
        evaluation = _without_segments(evaluation)
        if self.same:
            return evaluation, Basis.EXACT
        if evaluation.level is Level.INSUFFICIENT_DATA:
            return evaluation, self._too_few(evaluation)
        basis = Basis.APPROXIMATE if self.differs else Basis.EXACT
        watched = tuple(found for found in evaluation.signals if found.signal in self._settings.signals)
        if not watched:
            return _insufficient(evaluation, InsufficientReason.NO_DATA), Basis.UNKNOWN
        judged = tuple(found for found in watched if found.reason is None)
        reason = self._too_little(evaluation, judged) if judged else watched[0].reason
        if reason is not None:
            return _insufficient(evaluation, reason), basis
        signals = tuple(_graded(found, self._settings) for found in watched)
        level = max((found.level for found in signals if found.reason is None), key=RANK.__getitem__)
        return evaluation.model_copy(update={"signals": signals, "level": level}), basis

    def _too_few(self, evaluation: Evaluation) -> Basis:
        """Whether it would have had too little data under the other settings, too."""
        match evaluation.reason:
            case InsufficientReason.WARMING_UP:
                still = evaluation.baseline.coverage < self._settings.min_baseline_coverage
            case InsufficientReason.TOO_FEW_SAMPLES:
                still = all(_fewest(found) < self._settings.samples_needed for found in evaluation.signals)
            case _:
                still = True
        if not still:
            return Basis.UNKNOWN
        return Basis.APPROXIMATE if {"baseline_seconds", "current_seconds"} & set(self.differs) else Basis.EXACT

    def _too_little(self, evaluation: Evaluation, watched: tuple[SignalEvaluation, ...]) -> InsufficientReason | None:
        if evaluation.baseline.coverage < self._settings.min_baseline_coverage:
            return InsufficientReason.WARMING_UP
        needed = self._settings.samples_needed
        return InsufficientReason.TOO_FEW_SAMPLES if any(_fewest(found) < needed for found in watched) else None


def _without_segments(evaluation: Evaluation) -> Evaluation:
    """The evaluation with the level of all predictions together."""
    levels = [found.level for found in evaluation.signals if found.reason is None]
    if evaluation.level is Level.INSUFFICIENT_DATA or not levels:
        return evaluation
    level = max(levels, key=RANK.__getitem__)
    if level is evaluation.level and not evaluation.segments:
        return evaluation
    return evaluation.model_copy(update={"level": level, "segments": ()})


def _fewest(found: SignalEvaluation) -> int:
    return min(found.baseline_count, found.current_count)


def _insufficient(evaluation: Evaluation, reason: InsufficientReason) -> Evaluation:
    return evaluation.model_copy(update={"level": Level.INSUFFICIENT_DATA, "reason": reason, "signals": ()})


def _graded(found: SignalEvaluation, settings: MonitorSettings) -> SignalEvaluation:
    """A level is reached when PSI ≥ max(threshold, noise floor); of baseline and season, the lower one holds. Without a
    season, that against the baseline does."""
    if found.psi is None or found.noise_floor is None:
        return found
    warn_at, critical_at = _thresholds(settings, found.noise_floor)
    level, season = level_of(found.psi, warn_at, critical_at), found.season
    if settings.season_seconds is None:
        found, season = found.model_copy(update={"season": None, "no_season": None}), None
    if season is not None:
        seasonal = dict(zip(("warn_at", "critical_at"), _thresholds(settings, season.noise_floor), strict=True))
        season = season.model_copy(update=seasonal)
        level = min(level, season.level, key=RANK.__getitem__)
    if found.no_season is NoSeason.NOT_YET:
        level = min(level, Level.WARN, key=RANK.__getitem__)
    if (level, warn_at, critical_at, season) == (found.level, found.warn_at, found.critical_at, found.season):
        return found
    changed = {"level": level, "warn_at": warn_at, "critical_at": critical_at, "season": season}
    return found.model_copy(update=changed)


def _thresholds(settings: MonitorSettings, floor: float) -> tuple[float, float]:
    return max(settings.warn, floor), max(settings.critical, floor)

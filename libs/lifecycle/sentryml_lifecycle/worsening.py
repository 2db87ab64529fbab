"""What people were notified of in an incident, and what is worse than that. Part of `state_machine`.

    worse by a level      a signal reaches warn or critical and no alert of this incident has shown it there. Slow drift
                          and sudden drift, of a day against its baseline, do not cover each other. What was shown of
                          all predictions covers each segment of them; what was shown of a segment, that one alone.
    worse by its PSI      the PSI is twice what the last alert showed, of the same signal and comparison, and twice the
                          warning threshold.

Each alert covers all that its evaluation found, so that nothing is reported twice. Trembling cannot double a PSI.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from sentryml_common.contracts.evaluation import Evaluation, Signal, SignalEvaluation, SlowDrift
from sentryml_common.contracts.message import Part
from sentryml_common.contracts.transition import Cause, Severity
from sentryml_lifecycle.grades import DRIFTING

DOUBLE = 2.0


class Comparison(StrEnum):
    """What a signal was compared with."""

    BASELINE = "baseline"
    SEASON = "season"
    REFERENCE = "reference"


class Finding(Part):
    """A signal at warn or worse, by the comparison that gave its level; against a reference nothing is critical.
    `segment` is null where it is that of all predictions."""

    signal: Signal
    segment: str | None = Field(None, exclude_if=lambda segment: segment is None)
    comparison: Comparison
    severity: Severity
    psi: float
    warn_at: float
    critical_at: float | None

    @property
    def what(self) -> tuple[Signal, str | None, Comparison]:
        """What was compared with what."""
        return self.signal, self.segment, self.comparison

    @property
    def slow(self) -> bool:
        """Whether it is slow drift."""
        return self.comparison is Comparison.REFERENCE


@dataclass(frozen=True, slots=True)
class Worse:
    """A finding that is worse than what people were notified of, and by what; `before` is what they were notified of
    that signal and kind of drift, if anything."""

    cause: Cause
    finding: Finding
    before: Finding | None


class Notified(Part):
    """What people were notified of in the newest incident: by signal and comparison the highest severity so far, and
    the figures that the last alert showed.

    `worse` and `worse_slowly` count evaluations in a row that found something worse, against the baseline and
    against the reference.
    """

    findings: tuple[Finding, ...] = ()
    worse: int = 0
    worse_slowly: int = 0

    def counting(self, findings: Iterable[Finding], *, slowly: bool) -> Notified:
        """The counts after one more evaluation; `slowly` says whether that has compared with the reference."""
        slow = {each.finding.slow for each in self.worse_of(findings)}
        return self.model_copy(
            update={
                "worse": self.worse + 1 if False in slow else 0,
                "worse_slowly": (self.worse_slowly + 1 if True in slow else 0) if slowly else self.worse_slowly,
            }
        )

    def confirmed(self, findings: Iterable[Finding], evaluations: int) -> tuple[Worse, ...]:
        """What is worse for that number of evaluations in a row, the gravest first; the last one is counted already."""
        return tuple(
            each
            for each in self.worse_of(findings)
            if (self.worse_slowly if each.finding.slow else self.worse) >= evaluations
        )

    def covering(self, findings: Iterable[Finding]) -> Notified:
        """After an alert that shows the findings."""
        known = {each.what: each for each in self.findings}
        slowly = self.worse_slowly
        for found in findings:
            before = known.get(found.what)
            worst = Severity.CRITICAL if before and before.severity is Severity.CRITICAL else found.severity
            known[found.what] = found.model_copy(update={"severity": worst})
            slowly = 0 if found.slow else slowly
        return Notified(findings=tuple(known.values()), worse_slowly=slowly)

    def is_out_of_sight(self, evaluation: Evaluation) -> bool:
        """Whether it was of segments alone, in none of which there are still predictions enough to compare."""
        segments = drifting_segments(self.findings)
        return bool(segments) and not any(each.segment in segments and not each.reason for each in evaluation.segments)

    def recounting(self) -> Notified:
        """The same, with evaluations in a row counted from 0."""
        return Notified(findings=self.findings)

    def without_slow_drift(self) -> Notified:
        """Under another reference, what was found against the old one says nothing."""
        return Notified(findings=tuple(each for each in self.findings if not each.slow), worse=self.worse)

    def worse_of(self, findings: Iterable[Finding]) -> list[Worse]:
        """Which findings are worse, the gravest first: another level before a higher PSI."""
        worse = [each for found in findings if (each := self._worse(found)) is not None]
        return sorted(
            worse,
            key=lambda each: (
                each.cause is Cause.PSI_DOUBLED,
                each.finding.severity is not Severity.CRITICAL,
                -each.finding.psi,
            ),
        )

    def _worse(self, found: Finding) -> Worse | None:
        alike = [each for each in self.findings if each.slow == found.slow]
        of_signal = [each for each in alike if each.signal is found.signal and each.segment in (None, found.segment)]
        if not of_signal:
            cause = Cause.SLOW_DRIFT if found.slow else Cause.ANOTHER_SIGNAL if alike else Cause.SUDDEN_DRIFT_TOO
            return Worse(cause, found, None)
        if found.severity is Severity.CRITICAL and Severity.CRITICAL not in {each.severity for each in of_signal}:
            return Worse(Cause.ANOTHER_SIGNAL, found, of_signal[0])
        before = next((each for each in of_signal if each.what == found.what), None)
        if before is not None and found.psi >= DOUBLE * max(before.psi, found.warn_at):
            return Worse(Cause.PSI_DOUBLED, found, before)
        return None


def findings_of(evaluation: Evaluation, slow: SlowDrift | None) -> tuple[Finding, ...]:
    """The signals of an evaluation that are at warn or worse; `slow` is its comparison with the reference, where slow
    drift is confirmed."""
    found = [_finding(each) for each in evaluation.all_signals if each.level in DRIFTING]
    slowly = [_slow_finding(each) for each in slow.signals if each.level in DRIFTING] if slow is not None else []
    return (*found, *slowly)


def drifting_segments(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The segments that findings are of, in their order, where they are of segments alone; else none."""
    segments = [each.segment for each in findings]
    return () if None in segments else tuple(dict.fromkeys(each for each in segments if each is not None))


def _finding(found: SignalEvaluation) -> Finding:
    by_season = found.season if found.explained_by_season else None
    gave_level = by_season or found
    return Finding(
        signal=found.signal,
        segment=found.segment,
        comparison=Comparison.SEASON if by_season else Comparison.BASELINE,
        severity=Severity(found.level.value),
        psi=gave_level.psi or 0.0,
        warn_at=gave_level.warn_at or 0.0,
        critical_at=gave_level.critical_at,
    )


def _slow_finding(found: SignalEvaluation) -> Finding:
    return Finding(
        signal=found.signal,
        comparison=Comparison.REFERENCE,
        severity=Severity.WARN,
        psi=found.psi or 0.0,
        warn_at=found.warn_at or 0.0,
        critical_at=None,
    )

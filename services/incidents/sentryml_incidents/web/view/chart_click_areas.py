"""A curve cut into areas that can be clicked: each leads to the worst evaluation in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sentryml_incidents.domain.psi_series import EvaluationPoint, Span
from sentryml_lifecycle.text.wording import moment

MOST_SLICES = 96
"""Wide enough to be hit. Every evaluation is reached from there by one earlier, one later."""


@dataclass(frozen=True, slots=True)
class ClickArea:
    """A part of the picture, from the top to the bottom, and the evaluation that it leads to, with the levels that were
    in force."""

    place: float
    width: float
    at: datetime
    psi: float | None
    text: str
    levels: str


def worst_of(found: Iterable[ClickArea]) -> ClickArea | None:
    """The one with the highest PSI; None where nothing could be judged."""
    judged = [each for each in found if each.psi is not None]
    return max(judged, key=lambda each: each.psi or 0.0, default=None)


def click_areas(points: Iterable[EvaluationPoint], span: Span) -> tuple[ClickArea, ...]:
    """From left to right, at most MOST_SLICES; where there was no evaluation, there is none."""
    count = min(MOST_SLICES, max(1, (span.end - span.start) // span.step)) if span.step else MOST_SLICES
    width, worst = 100 / count, dict[int, EvaluationPoint]()
    for point in points:
        number = min(count - 1, int(span.place(point.at) * count / 100))
        known = worst.get(number)
        if known is None or _rank(point) > _rank(known):
            worst[number] = point
    return tuple(_slice(number * width, width, worst[number]) for number in sorted(worst))


def _rank(point: EvaluationPoint) -> float:
    return -1.0 if point.psi is None else point.psi


def _slice(place: float, width: float, point: EvaluationPoint) -> ClickArea:
    found = "too little data" if point.psi is None else f"PSI {point.psi:.3f}"
    return ClickArea(
        round(place, 2), round(width, 2), point.at, point.psi, f"{moment(point.at)}: {found}", _levels(point)
    )


def _levels(point: EvaluationPoint) -> str:
    named = (("warning", point.warn_at), ("critical", point.critical_at))
    return ", ".join(f"{name} from {level:.3g}" for name, level in named if level is not None)

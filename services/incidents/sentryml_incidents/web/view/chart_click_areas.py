"""A curve cut into slices that can be clicked: each leads to the worst evaluation in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sentryml_incidents.domain.psi_series import Look, Span
from sentryml_lifecycle.wording import moment

MOST_SLICES = 96
"""Wide enough to be hit. Every evaluation is reached from there by one earlier, one later."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the picture, from the top to the bottom, and the evaluation that it leads to."""

    place: float
    width: float
    at: datetime
    psi: float | None
    words: str


def worst_of(found: Iterable[Slice]) -> Slice | None:
    """The one with the highest PSI; None where nothing could be judged."""
    judged = [each for each in found if each.psi is not None]
    return max(judged, key=lambda each: each.psi or 0.0, default=None)


def slices(looks: Iterable[Look], span: Span) -> tuple[Slice, ...]:
    """From left to right, at most MOST_SLICES; where there was no evaluation, there is none."""
    count = min(MOST_SLICES, max(1, (span.end - span.start) // span.step)) if span.step else MOST_SLICES
    width, worst = 100 / count, dict[int, Look]()
    for look in looks:
        number = min(count - 1, int(span.place(look.at) * count / 100))
        known = worst.get(number)
        if known is None or _rank(look) > _rank(known):
            worst[number] = look
    return tuple(_slice(number * width, width, worst[number]) for number in sorted(worst))


def _rank(look: Look) -> float:
    return -1.0 if look.psi is None else look.psi


def _slice(place: float, width: float, look: Look) -> Slice:
    found = "too little data" if look.psi is None else f"PSI {look.psi:.3f}"
    return Slice(round(place, 2), round(width, 2), look.at, look.psi, f"{moment(look.at)}: {found}")

"""Why: the bins that carry most of a PSI, and the same in words. One pure function for API, pages and messages."""

from __future__ import annotations

import math
from decimal import Decimal

from sentryml_common.contracts.evaluation import (
    Bin,
    CategoryBin,
    Evaluation,
    NewBin,
    NullBin,
    OtherBin,
    RangeBin,
    Signal,
    SignalEvaluation,
)
from sentryml_common.contracts.transition import SignalWhy
from sentryml_incidents.domain.levels import DRIFTING

TOP_BINS = 3
ATOM_WIDTH = 1e-9
PLAIN_FROM, PLAIN_TO = 1e-4, 1e9
NEAR, NEAR_OF_WIDTH = 0.005, 0.2

NAMES = {Signal.SCORE: "scores", Signal.PREDICTION: "predictions"}


def why_of(evaluation: Evaluation) -> tuple[SignalWhy, ...]:
    """The signals that drift, worst first; if none does, all that had enough data."""
    drifting = [found for found in evaluation.signals if found.level in DRIFTING]
    chosen = drifting or [found for found in evaluation.signals if found.psi is not None]
    return tuple(_why(found) for found in sorted(chosen, key=lambda found: -(found.psi or 0.0)))


def _why(found: SignalEvaluation) -> SignalWhy:
    carrying = sorted(found.bins, key=lambda part: -part.contribution)[:TOP_BINS]
    return SignalWhy(
        signal=found.signal,
        psi=found.psi,
        warn_at=found.warn_at,
        critical_at=found.critical_at,
        top_bins=tuple(carrying),
    )


def in_words(why: tuple[SignalWhy, ...]) -> tuple[str, ...]:
    """One sentence per signal: what moved, from which share to which."""
    return tuple(_sentence(part) for part in why)


def _sentence(part: SignalWhy) -> str:
    moves = "; ".join(move_of(part.signal, moved) for moved in part.top_bins)
    measured = "" if part.psi is None else f" (PSI {part.psi:.2f})"
    return (
        f"{part.signal.value.capitalize()}{measured}: {moves}."
        if moves
        else f"{part.signal.value.capitalize()}{measured}."
    )


def move_of(signal: Signal, moved: Bin) -> str:
    """One bin's move: `scores 0.92 to 1: 4.0 % → 19 %`."""
    return f"{name_of(signal, moved)}: {percent(moved.baseline_share)} → {percent(moved.current_share)}"


def name_of(signal: Signal, part: Bin) -> str:
    """What a bin holds, in words."""
    things = NAMES[signal]
    match part:
        case RangeBin():
            return f"{things} {_range(part.lower, part.upper)}"
        case CategoryBin():
            return f"{things} “{part.value}”"
        case OtherBin():
            return f"rare {things}"
        case NewBin():
            return f"{things} never seen in the baseline"
        case NullBin():
            return f"no {signal.value}"


def percent(share: float) -> str:
    """A share as people read it: whole per cents from 10 % on, one decimal below."""
    if share == 0:
        return "0 %"
    if share < 0.001:
        return "under 0.1 %"
    return f"{share:.0%}".replace("%", " %") if share >= 0.0995 else f"{share:.1%}".replace("%", " %")


def _range(lower: float | None, upper: float | None) -> str:
    if lower is None and upper is None:
        return "of any size"
    if lower is None or upper is None:
        return f"from {_number(lower)} up" if lower is not None else f"below {_number(upper or 0.0)}"
    width = upper - lower
    if width <= ATOM_WIDTH * max(abs(lower), abs(upper)):
        return f"of {_number(lower)}"
    return f"{_number(lower, width)} to {_number(upper, width)}"


def _number(value: float, width: float = math.inf) -> str:
    """A number with as few digits as tell it from 0, from 1 (it may be a probability), and from the other end of a bin
    of this width. All but narrow bins write a common edge alike."""
    if value == 0:
        return "0"
    near = [NEAR * abs(value), NEAR_OF_WIDTH * width]
    if 0 < value < 1:
        near.append(NEAR * (1 - value))
    short = next(text for text in (f"{value:.{digits}g}" for digits in range(1, 18)) if _off(text, value) <= min(near))
    return f"{Decimal(short):,f}" if PLAIN_FROM <= abs(value) < PLAIN_TO else short


def _off(text: str, value: float) -> float:
    return abs(float(text) - value)

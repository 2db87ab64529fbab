"""Why: the bins that carry most of a PSI, where the signal has gone, and both in words.

One place for API, pages and messages: the words travel with every transition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from sentryml_common.contracts.evaluation import (
    Bin,
    Evaluation,
    NewBin,
    NullBin,
    RangeBin,
    Signal,
    SignalEvaluation,
    SlowDrift,
)
from sentryml_common.contracts.transition import SignalWhy
from sentryml_common.text import capital
from sentryml_lifecycle.grades import DRIFTING
from sentryml_lifecycle.text.bars import bars_of
from sentryml_lifecycle.text.number_format import (
    BASELINE,
    MANY,
    REFERENCE,
    bin_name,
    psi_line,
    share_change,
    slow_psi_line,
)
from sentryml_lifecycle.text.season_text import of_drift
from sentryml_lifecycle.text.slice_text import segment_among_others, slices_of
from sentryml_lifecycle.text.value_text import new_values
from sentryml_lifecycle.text.volume_text import volume

TOP_BINS = 3
MOST_SEGMENTS = 3
"""The signals of segments that are explained, at most; of each it is said how many drift."""
NOTEWORTHY = 0.01
"""How much more of all events nulls or unseen values make up before they are named, whatever else has moved."""

MOVED, SPREAD = 0.05, 0.02


def why_of(evaluation: Evaluation, *, slow: bool = False) -> tuple[SignalWhy, ...]:
    """The signals that drift, worst first, those of the model before those of segments; if none does, all of the model
    that had enough data. With `slow`, against the reference where the evaluation has compared with it. Another volume
    of predictions is named once."""
    if slow and evaluation.slow_drift is not None:
        return why_slowly(evaluation.slow_drift)
    drifting = _drifting(evaluation.signals)
    segments = _drifting(evaluation.segments)[:MOST_SEGMENTS]
    chosen = [*drifting, *segments] or _worst_first(found for found in evaluation.signals if found.psi is not None)
    why = tuple(_why(found, evaluation) for found in chosen)
    other_volume = volume(evaluation.activity)
    if not why or other_volume is None:
        return why
    return (why[0].model_copy(update={"moves": (*why[0].moves, other_volume)}), *why[1:])


def explained(evaluation: Evaluation) -> tuple[SignalEvaluation, ...]:
    """The signals whose bins are shown: those of the model, and those of segments that are among the reasons; what
    drifts comes first."""
    signals = (*evaluation.signals, *_drifting(evaluation.segments)[:MOST_SEGMENTS])
    return tuple(sorted(signals, key=lambda found: found.level not in DRIFTING))


def _drifting(signals: Iterable[SignalEvaluation]) -> list[SignalEvaluation]:
    return _worst_first(found for found in signals if found.level in DRIFTING)


def _worst_first(signals: Iterable[SignalEvaluation]) -> list[SignalEvaluation]:
    return sorted(signals, key=lambda found: -(found.psi or 0.0))


def why_slowly(found: SlowDrift) -> tuple[SignalWhy, ...]:
    """The signals that drift from the reference, worst first; if none does, all that were compared."""
    return tuple(map(_why_slowly, _drifting(found.signals) or _worst_first(found.signals)))


def _why_slowly(found: SignalEvaluation) -> SignalWhy:
    why = explain(found.signal, found.psi, found.warn_at, found.critical_at, found.bins, REFERENCE)
    return why.model_copy(update={"how_serious": slow_psi_line(found.signal, found.psi or 0.0, found.warn_at or 0.0)})


def _why(found: SignalEvaluation, evaluation: Evaluation) -> SignalWhy:
    """One signal's figures, and what they say; of a drifting one, also what its season, versions and segments say."""
    why = explain(found.signal, found.psi, found.warn_at, found.critical_at, found.bins, segment=found.segment)
    if found.level not in DRIFTING:
        return why
    how_serious = "; ".join(filter(None, (why.how_serious, of_drift(found))))
    moves = (*why.moves, *new_values(found))
    if found.segment is None:
        slices = slices_of(evaluation, found.signal)
    else:
        slices = (segment_among_others(evaluation, found, found.segment),)
    return why.model_copy(update={"how_serious": how_serious, "moves": moves, "slices": slices})


def explain(
    signal: Signal,
    psi: float | None,
    warn_at: float | None,
    critical_at: float | None,
    bins: Sequence[Bin],
    against: str = BASELINE,
    segment: str | None = None,
) -> SignalWhy:
    """One signal's figures, and what they say; `against` is what it was compared with."""
    top = carrying(bins)
    named = [*top, *(each for each in bins if _noteworthy(each) and each not in top)]
    return SignalWhy(
        signal=signal,
        segment=segment,
        psi=psi,
        warn_at=warn_at,
        critical_at=critical_at,
        top_bins=tuple(top),
        how_serious=psi_line(signal, psi, warn_at, critical_at, segment),
        shift=shift_of(signal, bins, against),
        bars=bars_of(bins) if psi is not None and warn_at is not None and psi >= warn_at else None,
        moves=tuple(f"{bin_name(signal, each, against)}: {share_change(each)}" for each in named),
    )


def carrying(bins: Sequence[Bin]) -> list[Bin]:
    """The bins that carry most of the PSI, the heaviest first."""
    return sorted(bins, key=lambda part: -part.contribution)[:TOP_BINS]


def in_words(why: Sequence[SignalWhy]) -> tuple[str, ...]:
    """One sentence per signal: how bad, where it has gone, what moved from which share to which."""
    return tuple(f"{capital('; '.join(each for each in _parts(part) if each))}." for part in why)


def in_one_line(why: Sequence[SignalWhy]) -> str:
    """The worst signal alone: where it has gone, and the heaviest move; empty where nothing can be said."""
    if not why:
        return ""
    worst = why[0]
    return capital("; ".join(each for each in (worst.shift or worst.how_serious, *worst.moves[:1]) if each))


def _parts(part: SignalWhy) -> tuple[str | None, ...]:
    return (part.how_serious, *(each.text for each in part.slices), part.shift, *part.moves)


def _noteworthy(part: Bin) -> bool:
    return isinstance(part, NullBin | NewBin) and part.current_share - part.baseline_share >= NOTEWORTHY


def shift_of(signal: Signal, bins: Sequence[Bin], against: str = BASELINE) -> str | None:
    """Where numbers have gone: up, down, apart or together; None where nothing can be said.

    Up and down by Cliff's delta: how much likelier a number of now is above one of the baseline than below it.
    """
    ranges = sorted(
        (each for each in bins if isinstance(each, RangeBin)),
        key=lambda part: float("-inf") if part.lower is None else part.lower,
    )
    before, now = _normalised([part.baseline_share for part in ranges]), _normalised([p.current_share for p in ranges])
    if len(ranges) < 2 or not before or not now:
        return None
    # How much of the baseline lies below the middle of each bin.
    ranks = [above - share / 2 for above, share in zip(accumulate(before), before, strict=True)]
    moved = 2 * sum(share * rank for share, rank in zip(now, ranks, strict=True)) - 1
    if abs(moved) >= MOVED:
        return f"{MANY[signal]} {'higher' if moved > 0 else 'lower'} than in the {against}"
    spread = sum((q - p) * abs(rank - 0.5) for p, q, rank in zip(before, now, ranks, strict=True))
    if abs(spread) >= SPREAD:
        return f"{MANY[signal]} {'further apart' if spread > 0 else 'closer together'} than in the {against}"
    return None


def _normalised(shares: list[float]) -> list[float]:
    total = sum(shares)
    return [share / total for share in shares] if total > 0 else []

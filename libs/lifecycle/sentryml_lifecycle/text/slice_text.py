"""Which version or segment differs, in words: the same on pages, in the API and in messages. All are without an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sentryml_common.contracts.evaluation import (
    Evaluation,
    Signal,
    SignalEvaluation,
    SliceEvaluation,
    SliceSignal,
    Slicing,
)
from sentryml_common.contracts.transition import SliceWhy
from sentryml_common.text import capital, duration
from sentryml_lifecycle.grades import DRIFTING
from sentryml_lifecycle.text.number_format import quoted

MOST_BEGUN = 2
FEWEST_ALIKE = 2

Compared = tuple[SliceEvaluation, SliceSignal]


def slices_of(evaluation: Evaluation, signal: Signal) -> tuple[SliceWhy, ...]:
    """What versions and segments say of a signal that drifts: versions that have begun in the current window, else the
    one that alone has moved; and the segment that alone has moved, or that all have."""
    found = [(each, _compared(each, signal)) for each in evaluation.slices]
    versions = [each for each in found if each[0].slicing is Slicing.VERSION]
    segments = [each for each in found if each[0].slicing is Slicing.SEGMENT]
    begun = [each for each in versions if _has_begun(each[0], evaluation)][:MOST_BEGUN]
    chosen = (*(begun or _alone(versions)), *_alone(segments))
    said = tuple(_why(each, _sentence(*each, evaluation.evaluated_at)) for each in chosen)
    return said if any(each.slicing is Slicing.SEGMENT for each in said) else (*said, *_alike(segments))


def segment_among_others(evaluation: Evaluation, found: SignalEvaluation, segment: str) -> SliceWhy:
    """What is to be said of a segment that drifts by itself: whether others do, and what all predictions do."""
    compared = [each for each in evaluation.segments if each.signal is found.signal and each.reason is None]
    others, drifting = len(compared) - 1, sum(each.level in DRIFTING for each in compared) - 1
    name = f"segment {quoted(segment)}"
    among = f"{name} drifts, {_like(others, drifting)}" if others else f"{name} is the only one with predictions enough"
    whole = next((each.headline_psi for each in evaluation.signals if each.signal is found.signal), None)
    together = "" if whole is None else f"; all predictions together: PSI {whole:.2f}"
    return SliceWhy(
        slicing=Slicing.SEGMENT,
        value=segment,
        psi=found.headline_psi,
        others_psi=None,
        began=None,
        text=f"{among}{together}",
    )


def _like(others: int, drifting: int) -> str:
    """Whether the other segments do the same, of which there is at least one."""
    if others == 1:
        return "the other one does too" if drifting else "the other one does not"
    if drifting in (0, others):
        return f"the other {others} do {'too' if drifting else 'not'}"
    return f"as {'does' if drifting == 1 else 'do'} {drifting} of the other {others}"


def slice_name(found: SliceEvaluation) -> str:
    """`version “2.3”`."""
    return f"{found.slicing} {quoted(found.value)}"


def begins(found: SliceEvaluation) -> str:
    """What a mark on a chart says where a slice begins."""
    return capital(f"{slice_name(found)} begins")


def _compared(found: SliceEvaluation, signal: Signal) -> SliceSignal:
    nothing = SliceSignal(signal=signal, psi=None, warn_at=None, others_psi=None, others_warn_at=None)
    return next((each for each in found.signals if each.signal is signal), nothing)


def _has_begun(found: SliceEvaluation, evaluation: Evaluation) -> bool:
    return found.began is not None and found.began >= evaluation.current.start


def _alone(found: Iterable[Compared]) -> Sequence[Compared]:
    """The heaviest that has moved while all others have not."""
    return [each for each in found if each[1].moved and each[1].others_psi is not None and not each[1].others_moved][:1]


def _sentence(found: SliceEvaluation, compared: SliceSignal, at: datetime) -> str:
    name = slice_name(found)
    if found.slicing is Slicing.SEGMENT:
        return f"{name} moved, the others did not: PSI {compared.psi:.2f} there, {compared.others_psi:.2f} elsewhere"
    since = "" if found.began is None else f" began {duration(at - found.began)} before"
    if not found.signals:
        return f"{name}{since}"
    among = "too few predictions of it to compare" if compared.psi is None else _among("its predictions", compared.psi)
    others = "" if compared.others_psi is None else f", {_among('the others', compared.others_psi)}"
    return f"{name}{since}{';' if since else ':'} {among}{others}"


def _among(whom: str, psi: float) -> str:
    return f"among {whom} PSI {psi:.2f}"


def _alike(segments: Iterable[Compared]) -> Iterator[SliceWhy]:
    """That it is everywhere: all segments that have events enough have moved."""
    judged = [each for each in segments if each[1].psi is not None]
    if len(judged) >= FEWEST_ALIKE and all(compared.moved for _, compared in judged):
        least, most = (pick(compared.psi or 0.0 for _, compared in judged) for pick in (min, max))
        text = f"all {len(judged)} segments moved: PSI {least:.2f} to {most:.2f}"
        yield SliceWhy(slicing=Slicing.SEGMENT, value=None, psi=None, others_psi=None, began=None, text=text)


def _why(compared: Compared, text: str) -> SliceWhy:
    found, signal = compared
    return SliceWhy(
        slicing=found.slicing,
        value=found.value,
        psi=signal.psi,
        others_psi=signal.others_psi,
        began=found.began,
        text=text,
    )

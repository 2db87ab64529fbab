"""Figures in words: shares, PSI, bins. Rounded so that what differs also looks different."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, OtherBin, RangeBin, Signal
from sentryml_common.text import cut

LONGEST_VALUE = 60
FEWEST_DIGITS, MOST_DIGITS = 3, 9
LARGE = 1e9
ONE_VALUE = 2.0**-22
"""Up to this width, beside its ends, a range holds a single value: numbers are distinguished as float32."""
TINY = 1e-45
"""What float32 has as 0."""
MEANINGS = ((2.5, "almost nothing is as before"), (1.0, "much is not as before"))
"""What a PSI of at least this means, where the number says little: with deciles, a shift that leaves a third of all
events where such were before has about 2.5, one that leaves three fifths about 1."""

BASELINE, REFERENCE = "baseline", "reference"
"""What is compared with."""
ONE = {Signal.SCORE: "score", Signal.PREDICTION: "prediction"}
MANY = {Signal.SCORE: "scores", Signal.PREDICTION: "predictions"}


def share_change(found: Bin) -> str:
    """How a bin's share has moved, for example `4.1 % → 19 %`."""
    return percent_change(found.baseline_share, found.current_share)


def percent_change(before: float, after: float) -> str:
    """Two shares, for example `4.1 % → 19 %`."""
    return " → ".join(apart((before, after), _percent))


def share(value: float) -> str:
    """One share, for example `4.1 %`."""
    return _percent(value, FEWEST_DIGITS)


def rate(count: int, seconds: float) -> str:
    """A number of events in a time as a rate, in the smallest unit that leaves at least one: `12 per minute`."""
    for size, name in ((1, "second"), (60, "minute"), (3600, "hour")):
        if (found := count * size / seconds if seconds > 0 else 0.0) >= 1:
            return f"{found:,.0f} per {name}"
    return "less than one per hour" if count else "none"


def _percent(share: float, digits: int) -> str:
    """A share in percent: whole percents from 10 % on and tenths below, or more digits if asked for."""
    percent, decimals = 100 * share, digits - FEWEST_DIGITS
    if percent >= 9.95:
        return f"{percent:.{decimals}f} %"
    least = 10.0 ** -(decimals + 1)
    if percent < least:
        return f"under {least:.{decimals + 1}f} %"
    return f"{percent:.{decimals + 1}f} %"


def bin_name(signal: Signal, found: Bin, against: str = BASELINE) -> str:
    """What falls into a bin, for example `scores 0.92–1.00`; `against` is what is compared with."""
    match found:
        case RangeBin():
            return _range_name(MANY[signal], found)
        case CategoryBin(value=value):
            return f"{ONE[signal]} {quoted(value)}"
        case OtherBin():
            return f"all other {MANY[signal]}"
        case NewBin():
            return f"{MANY[signal]} never seen in the {against}"
        case NullBin():
            return f"no {ONE[signal]} at all"


def _range_name(many: str, found: RangeBin) -> str:
    if found.lower is None and found.upper is None:
        return f"all {many}"
    ends = [end for end in (found.lower, found.upper) if end is not None]
    if len(ends) == 2 and ends[1] - ends[0] <= max(ONE_VALUE * max(map(abs, ends)), TINY):
        return f"{many} at {ends[0] if abs(ends[0]) > TINY else 0:.6g}"
    shown = apart(ends, _whole if all(end.is_integer() for end in ends) else _number)
    if found.lower is None:
        return f"{many} below {shown[0]}"
    if found.upper is None:
        return f"{many} from {shown[0]} up"
    return f"{many} {shown[0]}–{shown[1]}"


def _whole(value: float, _: int) -> str:
    return f"{value:.0f}" if abs(value) < LARGE else f"{value:.6g}"


def _number(value: float, digits: int) -> str:
    """Two decimals for numbers of the size of scores, or more if asked for; others by significant digits."""
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.{digits - 1}f}"
    return f"{value:.{digits}g}"


def signal_name(signal: Signal, segment: str | None = None) -> str:
    """`score`, `score of segment “eu”`."""
    return ONE[signal] if segment is None else f"{ONE[signal]} of segment {quoted(segment)}"


def quoted(value: str, longest: int = LONGEST_VALUE) -> str:
    """A value that a sender chose, in quotes and cut."""
    return f"“{cut(value, longest)}”"


def psi_line(
    signal: Signal, psi: float | None, warn_at: float | None, critical_at: float | None, segment: str | None = None
) -> str:
    """One signal's PSI against the threshold it has passed, or the one that it has not."""
    name = signal_name(signal, segment)
    if psi is None or warn_at is None or critical_at is None:
        return f"{name}: too few events to say"
    return f"{name}: {psi_against(psi, warn_at, critical_at)}"


def psi_against(psi: float, warn_at: float, critical_at: float) -> str:
    """A PSI against its thresholds: `PSI 0.31, critical from 0.20`."""
    shown, warn, critical = apart((psi, warn_at, critical_at), _decimals)
    if psi >= critical_at:
        return f"PSI {shown}{meaning_of(psi)}, critical from {critical}"
    if psi >= warn_at:
        return f"PSI {shown}{meaning_of(psi)}, a warning from {warn}, critical from {critical}"
    return f"PSI {shown}{meaning_of(psi)}, calm below {warn}"


def meaning_of(psi: float) -> str:
    """What a PSI means that is so high that the number says little, in brackets; empty for others."""
    return next((f" ({text})" for least, text in MEANINGS if psi >= least), "")


def slow_psi_line(signal: Signal, psi: float, warn_at: float) -> str:
    """One signal's PSI against the reference."""
    return f"{ONE[signal]}: {slow_psi_against(psi, warn_at)}"


def slow_psi_against(psi: float, warn_at: float) -> str:
    """A PSI against the reference and its threshold: `PSI 0.15 against the reference, a warning from 0.10`."""
    shown, warn = apart((psi, warn_at), _decimals)
    verdict = f"a warning from {warn}" if psi >= warn_at else f"calm below {warn}"
    return f"PSI {shown} against the reference{meaning_of(psi)}, {verdict}"


def psi_rise(before: float, psi: float) -> tuple[str, str]:
    """Two PSI with as many digits as tell them apart."""
    shown = apart((before, psi), _decimals)
    return shown[0], shown[1]


def _decimals(value: float, digits: int) -> str:
    return f"{value:.{digits - 1}f}"


def apart(values: Iterable[float], show: Callable[[float, int], str]) -> list[str]:
    """The values with the fewest digits that tell different ones apart; the fewest of all if none do."""
    values = list(values)
    different = len(set(values))
    for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        shown = [show(value, digits) for value in values]
        if len(set(shown)) == different:
            return shown
    return [show(value, FEWEST_DIGITS) for value in values]

"""Figures in words: shares, PSI, bins, spans of time. Rounded so that what differs also looks different."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, OtherBin, RangeBin, Signal
from sentryml_common.contracts.transition import SignalWhy

LONGEST_VALUE = 60
SIGNIFICANT_DIGITS = range(3, 10)

ONE, MANY = {Signal.SCORE: "score", Signal.PREDICTION: "prediction"}, {
    Signal.SCORE: "scores",
    Signal.PREDICTION: "predictions",
}  # fmt: skip


def cut(text: str, longest: int) -> str:
    """The text in one line, shortened to `longest` characters with an ellipsis if it has more."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def share_change(found: Bin) -> str:
    """A bin and how its share has moved, for example `4 % → 19 %`."""
    before, after = apart((found.baseline_share, found.current_share), _share)
    return f"{before} → {after}"


def _share(share: float, digits: int) -> str:
    """A share in percent; the least digits show whole percents from 10 % on and tenths below."""
    percent, decimals = 100 * share, digits - 3
    if share >= 0.1:
        return f"{percent:.{decimals}f} %"
    shown = f"{percent:.{decimals + 1}f}"
    if float(shown) == 0:
        return f"under {10.0 ** -(decimals + 1):.{decimals + 1}f} %"
    return f"{shown.removesuffix('.0')} %"


def bin_name(signal: Signal, found: Bin) -> str:
    """What falls into a bin, for example `scores 0.92–1.00`."""
    match found:
        case RangeBin():
            return _range_name(MANY[signal], found)
        case CategoryBin(value=value):
            return f"{ONE[signal]} “{cut(value, LONGEST_VALUE)}”"
        case OtherBin():
            return f"all other {MANY[signal]}"
        case NewBin():
            return f"{MANY[signal]} never seen in the baseline"
        case NullBin():
            return f"no {ONE[signal]} at all"


def _range_name(many: str, found: RangeBin) -> str:
    if found.lower is None and found.upper is None:
        return f"all {many}"
    if found.lower is None:
        return f"{many} below {_number(found.upper or 0.0, 3)}"
    if found.upper is None:
        return f"{many} from {_number(found.lower, 3)} up"
    lower, upper = apart((found.lower, found.upper), _number)
    return f"{many} at {lower}" if lower == upper else f"{many} {lower}–{upper}"


def _number(value: float, digits: int) -> str:
    """Two decimals for what lies in (0.01, 100], as scores do, else significant digits."""
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 100:
        return f"{value:.{digits - 1}f}".removesuffix(".00")
    return f"{value:.{digits}g}"


def psi_line(why: SignalWhy) -> str:
    """One signal's PSI against the threshold it has passed, or the one that it has not."""
    name = ONE[why.signal]
    if why.psi is None or why.warn_at is None or why.critical_at is None:
        return f"{name}: too few events to say"
    psi, warn_at, critical_at = apart((why.psi, why.warn_at, why.critical_at), _decimals)
    if why.psi >= why.critical_at:
        return f"{name}: PSI {psi}, critical from {critical_at}"
    if why.psi >= why.warn_at:
        return f"{name}: PSI {psi}, a warning from {warn_at}, critical from {critical_at}"
    return f"{name}: PSI {psi}, calm below {warn_at}"


def drifts(why: SignalWhy) -> bool:
    """Whether a signal is at or above its warning threshold."""
    return why.psi is not None and why.warn_at is not None and why.psi >= why.warn_at


def _decimals(value: float, digits: int) -> str:
    return f"{value:.{digits - 1}f}"


def apart(values: Iterable[float], show: Callable[[float, int], str]) -> list[str]:
    """The values with the fewest digits that tell different ones apart, as far as digits can."""
    values = list(values)
    shown = [str(value) for value in values]
    for digits in SIGNIFICANT_DIGITS:
        shown = [show(value, digits) for value in values]
        if len(set(shown)) == len(set(values)):
            return shown
    return [show(value, SIGNIFICANT_DIGITS.start) for value in values] if len(set(shown)) == 1 else shown


def duration(span: timedelta) -> str:
    """A span of time in its two largest units, for example `5 h 12 min`."""
    seconds = max(0, round(span.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def counted(number: int, one: str) -> str:
    """`1 check`, `3 checks`."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"

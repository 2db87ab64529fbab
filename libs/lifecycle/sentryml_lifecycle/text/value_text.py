"""Single values in sentences: those that are surely new or more frequent, other spellings, and ids of classes."""

from __future__ import annotations

from sentryml_common.contracts.evaluation import (
    Difference,
    Evaluation,
    MoreFrequent,
    OtherSpelling,
    Signal,
    SignalEvaluation,
)
from sentryml_common.text import capital
from sentryml_lifecycle.grades import DRIFTING
from sentryml_lifecycle.text.number_format import ONE, percent_change, quoted, share

DIFFERENCES = {
    Difference.BLANKS: "blanks or invisible characters",
    Difference.UNICODE_FORM: "Unicode form",
    Difference.LOOK_ALIKES: "characters that look alike",
    Difference.CASE: "upper and lower case",
    Difference.NUMBER: "a number written in another way, or sent as text",
    Difference.BOOLEAN: "a boolean sent as a number",
}
MOST_NEW = 3
SAME_SHARE = 1.25
"""Two shares whose ratio is at most this are called the same."""


def value_notes(evaluation: Evaluation) -> tuple[str, ...]:
    """What is to be said of single values, whatever the level; for a page that shows why signals drift, too."""
    return tuple(sentence for found in evaluation.signals for sentence in (*_notes(found), *_class_ids(found)))


def new_values(found: SignalEvaluation) -> tuple[str, ...]:
    """The most frequent new values, for the reasons of a signal that drifts."""
    return tuple(_new(found.signal, each) for each in found.more_frequent if each.baseline_count == 0)[:MOST_NEW]


def _notes(found: SignalEvaluation) -> tuple[str, ...]:
    """Without what `new_values` says already."""
    new = () if found.level in DRIFTING else new_values(found)
    more = (_more_frequent(found.signal, each) for each in found.more_frequent if each.baseline_count > 0)
    return tuple(f"{capital(sentence)}." for sentence in (*new, *more))


def _new(signal: Signal, found: MoreFrequent) -> str:
    if found.spelling is not None:
        return _spelled(signal, found, found.spelling)
    return f"{_name(signal, found)} is new: {share(found.current_share)} of events"


def _more_frequent(signal: Signal, found: MoreFrequent) -> str:
    times = found.current_share / found.baseline_share
    change = percent_change(found.baseline_share, found.current_share)
    return f"{_name(signal, found)} is {times:.1f} times as frequent, which is not chance: {change} of events"


def _spelled(signal: Signal, found: MoreFrequent, spelling: OtherSpelling) -> str:
    """For example `prediction “True” is new and equals “true” but for upper and lower case: same share, 70 %`."""
    differs = " and ".join(DIFFERENCES[each] for each in spelling.differences)
    before, now = spelling.baseline_share, found.current_share
    alike = before and max(before, now) <= SAME_SHARE * min(before, now)
    shares = f"same share, {share(now)}" if alike else f"{share(before)} then, {share(now)} now"
    points = _code_points(spelling)
    return f"{_name(signal, found)} is new and equals {_shown(spelling.known)} but for {differs}{points}: {shares}"


def _code_points(spelling: OtherSpelling) -> str:
    if not spelling.new_code_points and not spelling.known_code_points:
        return ""
    new, known = (", ".join(each) or "nothing" for each in (spelling.new_code_points, spelling.known_code_points))
    return f" ({new} instead of {known})"


def _class_ids(found: SignalEvaluation) -> tuple[str, ...]:
    if found.whole_numbers is None:
        return ()
    return (
        f"All predictions of the baseline are whole numbers, {found.whole_numbers} different ones. If these are ids of "
        "classes, send them as text: numbers are grouped into ranges, and a change within a range is not seen.",
    )


def _name(signal: Signal, found: MoreFrequent) -> str:
    group = ", with others that are counted together," if found.others else ""
    return f"{ONE[signal]} {_shown(found.value)}{group}"


def _shown(value: str | float) -> str:
    """A text in quotes, a number without: `“1”` and `1` are two values."""
    return quoted(value) if isinstance(value, str) else f"{value:.9g}"

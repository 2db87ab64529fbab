"""Single values in sentences, from real histograms: what is new, more frequent, or spelled in another way."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.evaluation import Level
from sentryml_lifecycle.text.psi_explanation import why_of
from sentryml_lifecycle.text.value_text import value_notes
from sentryml_statistics.histograms.pane_counts import PaneCounts
from tests.unit.drift.test_evaluation import an_evaluation

DAY = 10_000

Values = dict[str | float, int]


def a_side(values: Values) -> PaneCounts:
    column = [value for value, count in values.items() for _ in range(count)]
    return PaneCounts.of(column, [None] * len(column))


def said_of(before: Values, now: Values) -> tuple[Level, tuple[str, ...], tuple[str, ...]]:
    """The level, the notes, and why, without what bins say."""
    evaluation = an_evaluation(a_side(before), a_side(now), signals=["prediction"])
    reasons = why_of(evaluation)[0].moves if evaluation.level is not Level.OK else ()
    return evaluation.level, value_notes(evaluation), tuple(each for each in reasons if " is new" in each)


def days(rate: float, name: str, days: int = 7) -> Values:
    """Days of events of which a part has this name."""
    return {"ok": days * DAY - int(rate * days * DAY), name: int(rate * days * DAY)}


@pytest.mark.parametrize(
    ("before", "now", "note"),
    [
        (
            days(0.01, "fraud"),
            days(0.05, "fraud", 1),
            "Prediction “fraud” is 5.0 times as frequent, which is not chance: 1.0 % → 5.0 % of events.",
        ),
        ({"ok": 7 * DAY}, days(0.01, "ERROR", 1), "Prediction “ERROR” is new: 1.0 % of events."),
    ],
)
def test_what_is_small_by_psi_and_not_chance_is_noted_without_a_warning(before: Values, now: Values, note: str) -> None:
    assert said_of(before, now) == (Level.OK, (note,), ())


def test_one_event_of_another_class_and_a_little_more_of_a_rare_one_are_not_noted() -> None:
    assert said_of({"ok": 7 * DAY}, days(0.0001, "bad", 1)) == (Level.OK, (), ())
    assert said_of(days(0.002, "fraud"), days(0.004, "fraud", 1)) == (Level.OK, (), ())


@pytest.mark.parametrize(
    ("known", "new", "why"),
    [
        ("true", "True", "“True” is new and equals “true” but for upper and lower case"),
        ("true", 1.0, "1 is new and equals “true” but for a boolean sent as a number"),
        (1.0, "1", "“1” is new and equals 1 but for a number written in another way, or sent as text"),
        (
            "fraud ",
            "fraud",
            "“fraud” is new and equals “fraud” but for blanks or invisible characters "
            "(nothing instead of U+0020 SPACE)",
        ),
        (
            "refus\u00e9",
            "refuse\u0301",
            "“refuse\u0301” is new and equals “refus\u00e9” but for Unicode form (U+0065 LATIN SMALL LETTER E, U+0301 "
            "COMBINING ACUTE ACCENT instead of U+00E9 LATIN SMALL LETTER E WITH ACUTE)",
        ),
    ],
)
def test_a_drift_that_is_another_spelling_says_so(known: str | float, new: str | float, why: str) -> None:
    level, notes, reasons = said_of({"ok": 14_000, known: 6_000}, {"ok": 1_400, new: 600})
    assert level is Level.CRITICAL
    assert reasons == (f"prediction {why}: same share, 30 %",)
    assert notes == (), "said once"


def test_another_share_is_said_too() -> None:
    _, _, (why,) = said_of({"ok": 14_000, "No": 6_000}, {"ok": 1_900, "no": 100})
    assert why == "prediction “no” is new and equals “No” but for upper and lower case: 30 % then, 5.0 % now"


def test_of_many_new_values_the_most_frequent_are_named() -> None:
    now = {f"class {number}": 100 + number for number in range(12)}
    _, _, reasons = said_of({"ok": 7 * DAY}, now)
    assert [each.split("”")[0] for each in reasons] == [f"prediction “class {number}" for number in (11, 10, 9)]


def test_whole_numbers_may_be_ids_of_classes() -> None:
    ids = {float(number): 700 for number in range(100)}
    level, notes, _ = said_of(ids, {float(number): 1_000 for number in range(0, 100, 10)})
    assert level is Level.OK, "ten ranges with as many events as before"
    assert notes[-1].startswith(
        "All predictions of the baseline are whole numbers, 100 different ones. If these are ids"
    )
    assert any(" times as frequent" in each for each in notes)


@pytest.mark.parametrize(
    "values", [{0.5: 500, 1.0: 500, 2.0: 500}, {0.0: 500, 1.0: 500}, {"1": 500, "2": 500, "3": 500}]
)
def test_other_predictions_are_no_ids(values: Values) -> None:
    assert said_of(values, values) == (Level.OK, (), ())

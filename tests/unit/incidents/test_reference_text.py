"""A model's reference in words."""

from __future__ import annotations

import pytest

from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import ExcludedInterval, NormalTime
from sentryml_common.contracts.reference import ReferenceSource
from sentryml_lifecycle.text.reference_text import found_slowly, made_of, when_made
from tests.unit.incidents.builders import MODEL, an_evaluation, at, proposing, slowly


def a_monitor(*, enabled: bool = True, drifts: bool = False) -> Monitor:
    excluded = (ExcludedInterval(start=at(0), confirmed_at=at(1)),) if drifts else ()
    return Monitor(model_id=MODEL, version=1, enabled=enabled, normal_time=NormalTime(excluded=excluded))


def test_what_a_reference_is_made_of() -> None:
    reference = proposing(an_evaluation()).new_reference
    assert reference is not None
    assert made_of(reference) == (
        "Made of 60 events of the model, from 15 Nov 2026, 09:15:00 to 23 Nov 2026, 09:15:00 UTC."
    )
    uploaded = reference.model_copy(update={"source": ReferenceSource.UPLOAD, "start": None, "end": None})
    assert made_of(uploaded) == "An uploaded histogram of 60 events."


@pytest.mark.parametrize(
    ("grade", "coverage", "drifts", "words"),
    [
        ("insufficient", 0.0, False, "Of the 7 d of the baseline, nothing is there."),
        ("ok", 0.5, False, "Of the 7 d of the baseline, 50 % is there."),
        ("warn", 1.0, False, "as soon as the predictions match their baseline."),
        ("ok", 1.0, True, "as soon as the predictions match their baseline."),
        ("ok", 1.0, False, "from the next evaluation at level ok, within about an hour."),
    ],
)
def test_when_a_reference_will_be_made(grade: str, coverage: float, *, drifts: bool, words: str) -> None:
    evaluation = an_evaluation(grade)
    window = evaluation.baseline.model_copy(update={"coverage": coverage})
    latest = evaluation.model_copy(update={"baseline": window})
    assert when_made(a_monitor(drifts=drifts), latest).endswith(words)


def test_of_a_monitor_that_is_off_no_reference_is_made() -> None:
    assert "none is made while" in when_made(a_monitor(enabled=False), an_evaluation())


def test_what_was_found_against_the_reference() -> None:
    calm, drifting = slowly(an_evaluation(), "ok").slow_drift, slowly(an_evaluation(), "warn").slow_drift
    assert calm is not None
    assert drifting is not None
    (sentence,) = found_slowly(calm)
    assert sentence.startswith("Score: PSI ")
    assert sentence.endswith(" against the reference, calm below 0.10.")
    assert found_slowly(drifting) == ("Score: PSI 0.15 against the reference, a warning from 0.10.",)

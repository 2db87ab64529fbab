"""A monitor as a form: what people type, what is written, and what becomes of two who type at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.monitor import MonitorSettings, MonitorValues
from sentryml_incidents.domain.monitor_rules import all_contradictions
from sentryml_incidents.web.view.form_parsing import (
    NotRead,
    read_count,
    read_number,
    read_share,
    read_span,
    write_number,
    write_share,
    write_span,
)
from sentryml_incidents.web.view.monitor_form import (
    SETTINGS,
    changes_in_words,
    read,
    reason_in_words,
    rebase,
    write,
)

DEFAULTS = MonitorSettings()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1 h", 3600), ("30 min", 1800), ("30m", 1800), ("1 h 30 min", 5400), ("7d", 604_800), ("2 weeks", 1_209_600),
     ("1,5 h", 5400), ("0.5 s", 0.5), (" 1 Day ", 86_400), ("0 s", 0)],
)  # fmt: skip
def test_spans_are_read_as_people_type_them(text: str, seconds: float) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [("90", "write the unit too: 90 s, 90 min, 90 h or 90 d"), ("soon", "such as 30 s, 5 min"), ("1 fortnight", "such"),
     ("-1 h", "such as"), ("1 h x", "such as"), ("١ h", "such as")],
)  # fmt: skip
def test_a_span_that_cannot_be_read_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(NotRead, match=says):
        read_span(text)


@given(st.floats(0, 366 * 86_400) | st.integers(0, 366 * 86_400))
def test_a_span_that_is_written_is_read_as_the_same(seconds: float) -> None:
    assert read_span(write_span(seconds)) == seconds


@given(st.floats(0, 1))
def test_a_share_that_is_written_is_read_as_the_same(part: float) -> None:
    assert read_share(write_share(part)) == part


@given(st.floats(0, 1000))
def test_a_number_that_is_written_is_read_as_the_same(number: float) -> None:
    assert read_number(write_number(number)) == number


@pytest.mark.parametrize("text", ["a", "", "1e999", "nan", "--1", "0x1"])
def test_what_is_no_number_says_so(text: str) -> None:
    for reading in (read_number, read_share, read_count):
        with pytest.raises(NotRead, match="write a"):
            reading(text)


def test_per_cent_and_parts_are_both_understood() -> None:
    assert (read_share("50 %"), read_share("0.5"), read_share("12,5%")) == (0.5, 0.5, 0.125)


def test_every_setting_has_a_field_but_the_switch() -> None:
    assert set(SETTINGS) == set(MonitorValues.model_fields) - {"enabled"}
    assert all(each.label and each.means and each.default_text for each in SETTINGS.values())


def test_an_untouched_form_asks_for_the_monitor_it_was_filled_from() -> None:
    odd = MonitorSettings(baseline_seconds=90_061.5, warn=0.123, min_samples=77, reopen_seconds=60)
    for monitor in (DEFAULTS, odd):
        requested, wrong = read(write(monitor))
        assert wrong == {}
        assert MonitorSettings(enabled=monitor.enabled, **requested) == monitor


def test_an_empty_field_asks_for_the_default() -> None:
    requested, wrong = read({"signals": "score"})
    assert wrong == {}
    assert MonitorSettings(**requested) == MonitorSettings(signals=("score",))


def test_everything_that_cannot_be_read_is_named() -> None:
    requested, wrong = read(write(DEFAULTS) | {"warn": "high", "every_seconds": "5", "signals": ""})
    assert set(wrong) == {"warn", "every_seconds", "signals"}
    assert set(requested) == set(SETTINGS) - set(wrong)


def test_two_changes_of_different_settings_are_both_in_the_form() -> None:
    theirs = MonitorSettings(critical=0.4)
    both = rebase(write(DEFAULTS) | {"warn": " 0.15"}, DEFAULTS, theirs)
    assert (both.texts["warn"].strip(), both.texts["critical"], both.theirs) == ("0.15", "0.4", {})


def test_two_changes_of_one_setting_are_shown_side_by_side() -> None:
    both = rebase(write(DEFAULTS) | {"warn": "0.15"}, DEFAULTS, MonitorSettings(warn=0.12))
    assert (both.texts["warn"], both.theirs) == ("0.15", {"warn": "0.12"})


def test_the_same_change_twice_is_no_conflict() -> None:
    both = rebase(write(DEFAULTS) | {"min_samples": "60"}, DEFAULTS, MonitorSettings(min_samples=60))
    assert (both.texts["min_samples"], both.theirs) == ("60", {})


def test_changes_are_reported_with_names_and_units_of_the_form() -> None:
    changed = {"baseline_seconds": (604_800.0, 259_200.0), "min_samples": (None, 60), "enabled": (True, False)}
    assert changes_in_words(changed) == (
        "Baseline: 7 d → 3 d; Minimum number of events: the default → 60; Monitor: on → off"
    )


def test_reasons_are_reported_in_the_words_of_the_form() -> None:
    values = MonitorValues(baseline_seconds=3600, current_seconds=86_400, warn=0.3, bins=20, min_samples=5)
    reasons = [reason_in_words(each.fields[0], each.reason) for each in all_contradictions(values)]
    text = "\n".join(reasons)
    assert "“Current window” (1 d) must not exceed “Baseline” (1 h)" in text
    assert "“Warning from” (0.3) must be below “Critical from” (0.2): lower warn or raise critical" in text
    assert "“Minimum number of events” (5) is below “Bins” (20)" in text
    assert "_seconds" not in text
    assert "null" not in text


def test_limits_are_reported_in_units() -> None:
    assert reason_in_words("every_seconds", "Input should be less than or equal to 86400") == (
        "Input should be less than or equal to 1 d"
    )
    assert reason_in_words("resolve_below", "Input should be less than or equal to 1").endswith("100 %")

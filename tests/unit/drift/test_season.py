"""The seasonal check: which partners there are, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from sentryml_common.contracts.evaluation import Level, NoSeason, SignalEvaluation
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.normal_time import NormalTime
from sentryml_statistics.comparison.evaluation import Baseline, WindowCounts, evaluate
from sentryml_statistics.histograms.histogram import Histogram
from sentryml_statistics.histograms.pane_counts import PaneCounts
from sentryml_statistics.time.season import Partner, Season, SeasonCounts, season_at
from sentryml_statistics.time.windows import WindowCover, WindowPlan
from tests.unit.drift.test_normal_time import normal
from tests.unit.drift.test_windows import DAY, HOUR, MINUTES, at, drawn

NOON = at("12:00")
AT = datetime.fromtimestamp(NOON, UTC)
LONG_AGO = NOON - 90 * DAY


def a_monitor(**settings: object) -> Monitor:
    return Monitor.model_validate({"model_id": "model", "version": 1, **settings})


def partners(
    monitor: Monitor,
    *excluded: tuple[float, float | None],
    first_seen: float = LONG_AGO,
    when: float = NOON,
    confirmed: float = 0.0,
) -> Season:
    normal_time = NormalTime(excluded=normal(*excluded, confirmed=confirmed).excluded)
    found = season_at(MINUTES, monitor.model_copy(update={"normal_time": normal_time}), when, first_seen, when)
    assert found is not None
    return found


def test_the_partner_is_the_same_window_a_week_before() -> None:
    found = partners(a_monitor())
    (partner,) = found.partners
    assert (partner.periods, partner.cover.start, partner.cover.end) == (1, NOON - 8 * DAY, NOON - 7 * DAY)
    assert found.whole


def test_a_longer_baseline_has_further_weeks() -> None:
    found = partners(a_monitor(baseline_seconds=21 * DAY))
    assert [each.periods for each in found.partners] == [1, 2, 3]


LONG_DRIFT = (NOON - 12 * DAY, NOON - 7 * DAY)


def test_a_week_that_drifted_for_long_is_no_partner_and_the_one_before_is() -> None:
    found = partners(a_monitor(baseline_seconds=28 * DAY), LONG_DRIFT)
    assert [each.periods for each in found.partners] == [2, 3, 4, 5]


def test_after_drift_a_week_more_is_kept_and_only_that() -> None:
    assert [each.periods for each in partners(a_monitor(), LONG_DRIFT).partners] == [2]


def test_what_was_gone_when_drift_was_confirmed_is_no_partner() -> None:
    # Confirmed five days ago, when panes reached back to thirteen days ago.
    only = partners(a_monitor(), (NOON - 8 * DAY, NOON - 2 * DAY), confirmed=3 * DAY)
    assert (only.partners, only.why_none, only.whole) == ((), NoSeason.NOT_NORMAL, True)


def test_drift_that_lasts_is_no_partner_however_short_it_is() -> None:
    assert [each.periods for each in partners(a_monitor(), (NOON - 7.5 * DAY, None)).partners] == [2]


def test_a_weekend_that_was_taken_for_drift_explains_the_next_one_after_those_that_were_not() -> None:
    # From the start of its first window to the end of its last: a weekend, half a day on both sides, and a day.
    weekend = (NOON - 8.5 * DAY, NOON - 4.5 * DAY)
    assert [each.periods for each in partners(a_monitor(), weekend, confirmed=2 * DAY).partners] == [1]
    assert [each.periods for each in partners(a_monitor(), weekend).partners] == [2, 1]


def test_while_drift_lasts_only_normal_weeks_count() -> None:
    weekend = (NOON - 8.5 * DAY, NOON - 4.5 * DAY)
    assert [each.periods for each in partners(a_monitor(), weekend, (NOON - DAY, None)).partners] == [2]


def test_a_young_model_has_none_yet() -> None:
    found = partners(a_monitor(), first_seen=NOON - 5 * DAY)
    assert (found.partners, found.why_none, found.whole) == ((), NoSeason.NOT_YET, False)


def test_a_baseline_shorter_than_the_season_has_none_and_says_so() -> None:
    found = partners(a_monitor(baseline_seconds=3 * DAY))
    assert (found.partners, found.why_none, found.whole) == ((), NoSeason.BASELINE_TOO_SHORT, True)


def test_windows_shorter_than_a_day_take_yesterday_where_that_is_all_there_is() -> None:
    found = partners(a_monitor(baseline_seconds=3 * DAY, current_seconds=HOUR))
    assert (found.period_seconds, [each.periods for each in found.partners]) == (DAY, [1, 2, 3])


def test_a_current_window_longer_than_the_season_never_overlaps_its_partner() -> None:
    found = partners(a_monitor(baseline_seconds=42 * DAY, current_seconds=14 * DAY))
    assert [each.periods for each in found.partners] == [2, 3, 4, 5, 6]


def test_no_season_when_switched_off() -> None:
    assert season_at(MINUTES, a_monitor(season_seconds=None), NOON, LONG_AGO, NOON) is None


def test_the_same_time_follows_the_clock_of_the_time_zone() -> None:
    # On 25 October 2026 clocks in Berlin went back: noon of the 28th is 11:00 UTC, noon of the 21st was 10:00 UTC.
    when = datetime(2026, 10, 28, 11, tzinfo=UTC).timestamp()
    monitor = a_monitor(time_zone="Europe/Berlin", current_seconds=2 * HOUR)
    (partner,) = partners(monitor, when=when).partners
    assert partner.cover.end == datetime(2026, 10, 21, 10, tzinfo=UTC).timestamp()
    (elsewhere,) = partners(a_monitor(current_seconds=2 * HOUR), when=when).partners
    assert elsewhere.cover.end == datetime(2026, 10, 21, 11, tzinfo=UTC).timestamp()


def test_a_short_partner_whose_minutes_are_gone_is_the_hours_it_touches() -> None:
    (partner,) = partners(a_monitor(current_seconds=600), when=at("12:35")).partners
    assert drawn(MINUTES, partner.cover) == ["coarse -156:00–-155:00"]


RANDOM = np.random.default_rng(5)
PLAN = WindowPlan(WindowCover(NOON - 8 * DAY, NOON, ()), ())


def pane(count: int, a: float) -> PaneCounts:
    return PaneCounts(Histogram.of(RANDOM.beta(a, 5, count)), Histogram.of(categories={"ok": count} if count else {}))


def checked(current: PaneCounts, *earlier: PaneCounts, whole: bool = True) -> SignalEvaluation:
    """The score's evaluation against a baseline of one shape, with these counts in the weeks before."""
    covers = [WindowCover(float(number), float(number), ()) for number in range(len(earlier))]
    found = tuple(Partner(number + 1, cover) for number, cover in enumerate(covers))
    counts = dict(zip(covers, earlier, strict=True))
    season = SeasonCounts(Season(7 * DAY, found, NoSeason.NOT_YET, whole), counts.__getitem__)
    baseline = Baseline(PLAN, pane(20_000, 2.0), 1.0)
    return evaluate("model", a_monitor(), AT, baseline, WindowCounts(PLAN, current, 1.0), lambda: season).signals[0]


def test_a_weekend_like_the_last_one_is_ok_and_both_numbers_are_there() -> None:
    found = checked(pane(3000, 4.0), pane(3000, 4.0))
    assert found.level is Level.OK
    assert found.psi is not None
    assert found.psi > 0.2
    assert found.season is not None
    assert (found.season.periods, found.season.count) == ((1,), 3000)
    assert found.season.psi < 0.05
    assert found.explained_by_season
    assert found.headline_psi == found.season.psi


def test_what_differs_from_both_has_the_lower_of_the_two_levels() -> None:
    assert checked(pane(3000, 4.0), pane(3000, 2.0)).level is Level.CRITICAL
    slightly = checked(pane(3000, 4.0), pane(3000, 3.1))
    assert slightly.season is not None
    assert slightly.level is slightly.season.level is Level.WARN


def test_a_partner_with_too_few_events_to_tell_counts_only_with_others() -> None:
    found = checked(pane(3000, 4.0), pane(10, 4.0), pane(3000, 4.0))
    assert found.season is not None
    assert (found.season.periods, found.season.count) == ((1, 2), 3010)
    alone = checked(pane(3000, 4.0), pane(10, 4.0))
    assert (alone.season, alone.no_season, alone.level) == (None, NoSeason.TOO_FEW_SAMPLES, Level.CRITICAL)


def test_an_empty_partner_is_none() -> None:
    found = checked(pane(3000, 4.0), pane(0, 4.0))
    assert (found.season, found.no_season, found.level) == (None, NoSeason.NOT_YET, Level.CRITICAL)


def test_before_a_whole_season_a_difference_is_at_most_a_warning() -> None:
    found = checked(pane(3000, 4.0), whole=False)
    assert (found.level, found.no_season) == (Level.WARN, NoSeason.NOT_YET)


def test_where_nothing_differs_there_is_no_check() -> None:
    found = checked(pane(3000, 2.0), pane(3000, 4.0))
    assert (found.level, found.season, found.no_season) == (Level.OK, None, None)

"""What a list was asked for: as an address, in words, and each part to be taken away."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from sentryml_common.contracts.transition import Severity
from sentryml_incidents.domain.listing import Listing, Order, Standing, Within, chips, in_words, query_of
from tests.unit.incidents.builders import MONDAY

FULL = Listing(
    standing=Standing.OPEN, severity=Severity.CRITICAL, model="churn-*", within=Within.WEEK, since=date(2026, 11, 20),
    until=date(2026, 11, 23), undeliverable=True, order=Order.PEAK, group=UUID(int=7),
)  # fmt: skip


@pytest.mark.parametrize(
    ("requested", "count", "text"),
    [
        (Listing(), 0, "No incidents"),
        (Listing(), 1, "1 incident"),
        (Listing(), 10_000, "10,000 incidents"),
        (Listing(), 10_001, "More than 10,000 incidents"),
        (
            Listing(Standing.OPEN, Severity.CRITICAL, "churn-*"),
            3,
            "3 open critical incidents of models matching churn-*",
        ),
        (Listing(model="churn"), 1, "1 incident of models with “churn” in their name"),
        (Listing(within=Within.DAY), 2, "2 incidents opened in the last 24 hours"),
        (Listing(since=date(2026, 11, 1)), 2, "2 incidents opened from 1 Nov 2026 (UTC)"),
        (
            FULL,
            2,
            "2 open critical incidents of models matching churn-* opened in the last 7 days opened from 20 Nov 2026 to "
            "23 Nov 2026 (UTC) with an undeliverable message of one alert group",
        ),
    ],
)
def test_a_list_says_in_one_line_what_it_holds(requested: Listing, count: int, text: str) -> None:
    assert in_words(requested, count, 10_000) == text


def test_the_address_holds_what_was_asked_for_and_no_more() -> None:
    assert query_of(Listing()) == ""
    assert query_of(Listing(model="a&b=c d")) == "?model=a%26b%3Dc+d"
    assert parse_qs(query_of(FULL, after="xyz")[1:]) == {
        "state": ["open"], "severity": ["critical"], "model": ["churn-*"], "within": ["week"], "from": ["2026-11-20"],
        "to": ["2026-11-23"], "undeliverable": ["true"], "order": ["peak"], "group": [str(UUID(int=7))],
        "after": ["xyz"],
    }  # fmt: skip


def test_each_chip_takes_one_thing_away_and_leaves_the_order() -> None:
    whole = parse_qs(query_of(FULL)[1:])
    gone = [set(whole) - set(parse_qs(chip.without[1:])) for chip in chips(FULL)]
    assert gone == [{"state"}, {"severity"}, {"model"}, {"within"}, {"from", "to"}, {"undeliverable"}, {"group"}]
    assert chips(Listing(order=Order.OLDEST)) == ()


def test_a_part_of_a_name_is_looked_for_anywhere_and_a_pattern_as_it_is() -> None:
    assert [Listing(model=text).pattern for text in ("", "churn", "churn-*", "v?", "[ab]")] == [
        None, "*churn*", "churn-*", "v?", "[ab]",
    ]  # fmt: skip


def test_days_are_whole_and_the_later_beginning_holds() -> None:
    both = Listing(within=Within.DAY, since=date(2026, 11, 1), until=date(2026, 11, 23))
    assert both.opened_from(MONDAY) == MONDAY - timedelta(days=1)
    assert Listing(since=date(2026, 11, 23)).opened_from(MONDAY) == datetime(2026, 11, 23, tzinfo=UTC)
    assert both.opened_before == datetime(2026, 11, 24, tzinfo=UTC), "the last day is included"
    assert Listing(until=date.max).opened_before is None, "there is no day after it"
    assert Listing().opened_from(MONDAY) is None


def test_only_what_leaves_something_out_is_a_filter() -> None:
    assert FULL.filters
    assert not Listing(order=Order.MODEL).filters

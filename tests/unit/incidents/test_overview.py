"""Which alert groups the overview shows, and what it says of them."""

from __future__ import annotations

from uuid import UUID

from sentryml_incidents.domain.overview import LiveGroup, distinct_groups
from tests.unit.incidents.builders import at

FIRST, SECOND, THIRD, FOURTH = (UUID(int=number) for number in range(1, 5))


def a_group(number: int, *live: UUID, silent: int = 0) -> LiveGroup:
    return LiveGroup(UUID(int=100 + number), number, 5, list(live), silent, 1, 1, at(number))


def test_the_same_incidents_on_another_channel_are_no_second_group() -> None:
    smaller, larger, other = a_group(1, FIRST, SECOND), a_group(2, FIRST, SECOND, THIRD), a_group(3, THIRD, FOURTH)
    again = a_group(4, FIRST, SECOND, THIRD)
    assert distinct_groups([smaller, larger, other, again]) == [larger, other]


def test_a_group_is_described_by_what_its_models_do_now() -> None:
    assert a_group(1, FIRST, SECOND, THIRD, silent=1).text == "5 models: 2 drift, 1 is silent, 2 are over"

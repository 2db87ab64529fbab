"""What opens together is one message, and so is what ends together; nothing is left out, and nothing is said twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import product
from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.domain.delivery import DeliveryState, Waiting
from sentryml_notifier.domain.grouping import Grouping, whole
from sentryml_notifier.domain.routing import CLOSING, OPENING
from tests.unit.notifier.builders import NIGHT
from tests.unit.notifier.grouped_channel import GroupedChannel, Sent

K = TransitionKind
GROUPING = Grouping(timedelta(seconds=20), timedelta(seconds=600))
DAYS = timedelta(days=30)


def a_channel() -> GroupedChannel:
    return GroupedChannel(GROUPING, NIGHT)


def at(channel: GroupedChannel, seconds: float) -> None:
    channel.pass_time(NIGHT + timedelta(seconds=seconds))


def opening(channel: GroupedChannel) -> list[Sent]:
    return [each for each in channel.sent if each.kinds & OPENING]


def ending(channel: GroupedChannel) -> list[Sent]:
    return [each for each in channel.sent if each.kinds & CLOSING and not each.kinds & OPENING]


def seconds_of(channel: GroupedChannel) -> list[float]:
    return [(each.at - NIGHT).total_seconds() for each in channel.sent]


def test_two_are_two_messages_after_the_wait() -> None:
    channel = a_channel()
    channel.take_in(1, K.OPENED)
    at(channel, 5)
    channel.take_in(2, K.OPENED)
    at(channel, 1000)
    assert [(each.incidents, each.group) for each in channel.sent] == [({1}, None), ({2}, None)]
    assert seconds_of(channel) == [20, 25]


def test_three_are_one_message_when_the_first_has_waited() -> None:
    channel = a_channel()
    for number in range(3):
        at(channel, 5 * number)
        channel.take_in(number, K.OPENED)
    at(channel, 1000)
    (only,) = channel.sent
    assert only.incidents == {0, 1, 2}
    assert seconds_of(channel) == [20]


def test_the_third_in_ten_minutes_makes_a_group_with_those_reported_already() -> None:
    channel = a_channel()
    for number, seconds in enumerate((0, 240, 480, 495, 1000)):
        at(channel, seconds)
        channel.take_in(number, K.OPENED)
    at(channel, 3600)
    assert [sorted(each.incidents) for each in channel.sent] == [[0], [1], [2, 3], [4]]
    assert seconds_of(channel) == [20, 260, 500, 1100]
    assert len({channel.group_of(number) for number in range(5)}) == 1


def test_after_the_group_has_closed_another_begins_or_it_is_alone() -> None:
    channel = a_channel()
    for number in range(3):
        channel.take_in(number, K.OPENED)
    at(channel, 1300)
    channel.take_in(3, K.OPENED)
    at(channel, 1400)
    assert [sorted(each.incidents) for each in channel.sent] == [[0, 1, 2], [3]]
    assert seconds_of(channel) == [20, 1320]


def test_escalations_are_a_message_before_the_group_closes() -> None:
    channel = a_channel()
    for number in range(5):
        channel.take_in(number, K.OPENED)
    at(channel, 60)
    for number in (1, 2):
        channel.take_in(number, K.ESCALATED, critical=True)
    at(channel, 100)
    channel.take_in(3, K.ESCALATED, critical=True)
    at(channel, 2000)
    assert [(sorted(each.incidents), each.kinds) for each in channel.sent] == [
        ([0, 1, 2, 3, 4], {K.OPENED}),
        ([1, 2], {K.ESCALATED}),
        ([3], {K.ESCALATED}),
    ]
    assert seconds_of(channel) == [20, 80, 380]


def test_getting_worse_within_a_severity_waits_for_the_close_and_then_an_hour() -> None:
    channel = a_channel()
    for number in range(4):
        channel.take_in(number, K.OPENED)
    for number, seconds in enumerate((100, 200, 1000, 2000)):
        at(channel, seconds)
        channel.take_in(number, K.WORSENED)
    at(channel, 20_000)
    assert [sorted(each.incidents) for each in channel.sent] == [[0, 1, 2, 3], [0, 1], [2, 3]]
    assert seconds_of(channel) == [20, 620, 620 + 3600]


def test_the_first_critical_alert_of_a_group_of_warnings_does_not_wait_for_it_to_close() -> None:
    channel = a_channel()
    for number in range(3):
        channel.take_in(number, K.OPENED)
    at(channel, 60)
    channel.take_in(3, K.OPENED)
    channel.take_in(4, K.OPENED, critical=True)
    at(channel, 120)
    channel.take_in(5, K.OPENED, critical=True)
    at(channel, 2000)
    assert [sorted(each.incidents) for each in channel.sent] == [[0, 1, 2], [3, 4], [5]]
    assert seconds_of(channel) == [20, 80, 620]


def test_a_waiting_warning_that_escalates_is_reported_with_its_escalation() -> None:
    channel = a_channel()
    for number in range(4):
        channel.take_in(number, K.OPENED, critical=number == 0)
    at(channel, 60)
    channel.take_in(9, K.OPENED)
    at(channel, 100)
    channel.take_in(9, K.ESCALATED, critical=True)
    at(channel, 2000)
    assert channel.sent[1].kinds == {K.OPENED, K.ESCALATED}
    assert seconds_of(channel) == [20, 120]


def test_ends_are_one_message_when_the_last_is_over() -> None:
    channel = a_channel()
    for number in range(5):
        channel.take_in(number, K.OPENED)
    at(channel, 1000)
    for number in range(5):
        at(channel, 1000 + 60 * number)
        channel.take_in(number, K.RESOLVED)
    at(channel, 100_000)
    (only,) = ending(channel)
    assert only.incidents == set(range(5))
    assert (only.at - NIGHT).total_seconds() == 1260


def test_ends_are_reported_an_hour_after_the_first_then_once_a_day() -> None:
    channel = a_channel()
    for number in range(6):
        channel.take_in(number, K.OPENED)
    hour, day = 3600, 86_400
    for number, seconds in enumerate((1000, 2000, 1000 + 2 * hour, 1000 + 3 * hour, 3 * day)):
        at(channel, seconds)
        channel.take_in(number, K.RESOLVED)
    at(channel, 10 * day)
    assert [sorted(each.incidents) for each in ending(channel)] == [[0, 1], [2, 3], [4]]
    found = [(each.at - NIGHT).total_seconds() for each in ending(channel)]
    assert found == [1000 + hour, 1000 + hour + day, 3 * day]
    channel.take_in(5, K.RESOLVED)
    channel.pass_time(channel.now + timedelta(seconds=20))
    assert ending(channel)[-1].incidents == {5}


def test_an_incident_that_reopens_before_its_end_was_reported_is_one_message() -> None:
    channel = a_channel()
    for number in range(3):
        channel.take_in(number, K.OPENED)
    at(channel, 1000)
    channel.take_in(0, K.RESOLVED)
    at(channel, 1100)
    channel.take_in(0, K.REOPENED)
    at(channel, 1200)
    assert channel.sent[-1].incidents == {0}
    assert K.REOPENED in channel.sent[-1].kinds
    assert (channel.sent[-1].at - NIGHT).total_seconds() == 1120


def test_a_quiet_step_of_an_incident_of_a_group_is_no_message() -> None:
    channel = a_channel()
    for number in range(3):
        channel.take_in(number, K.OPENED)
    at(channel, 100)
    channel.take_in(0, K.ACKNOWLEDGED)
    at(channel, 5000)
    assert len(channel.sent) == 1
    assert [row.dropped for row in channel.rows if row.kind is K.ACKNOWLEDGED] == [True]


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 30.0, 120.0, 599.0]), st.sampled_from([0, 1, 2]))
@settings(max_examples=10)
def test_a_storm_is_at_most_four_messages_when_it_begins_and_three_when_it_ends(
    seed: int, spread: float, before: int
) -> None:
    rng, channel = Random(seed), a_channel()
    for number in range(before):  # what opened shortly before has nothing to do with it
        channel.take_in(1000 + number, K.OPENED, critical=True)
        at(channel, rng.uniform(0, 500))
    earlier, began = len(channel.sent), channel.now
    offsets = sorted(rng.uniform(0, spread) for _ in range(200))
    for number, offset in enumerate(offsets):
        channel.pass_time(max(channel.now, began + timedelta(seconds=offset)))
        channel.take_in(number, K.OPENED, critical=True)
    channel.pass_time(channel.now + timedelta(seconds=700))
    assert len(channel.sent) - earlier <= 4 + before
    third = began + timedelta(seconds=offsets[2])
    grouped = next(each for each in channel.sent if each.group is not None)
    assert grouped.at <= third + GROUPING.wait
    for number in range(200):
        channel.pass_time(channel.now + timedelta(seconds=rng.uniform(0, spread / 200)))
        channel.take_in(number, K.RESOLVED)
    channel.pass_time(channel.now + DAYS)
    assert len(ending(channel)) <= 3


STEPS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(["worse", "end"]), st.booleans(), st.floats(0, 400)),
    min_size=1,
    max_size=60,
)


@given(STEPS)
@settings(max_examples=60)
def test_each_alert_is_in_exactly_one_message_and_in_its_order(steps: list[tuple[int, str, bool, float]]) -> None:
    channel, live, critical = a_channel(), set[int](), set[int]()
    seen = set[int]()
    for incident, what, is_critical, seconds in steps:
        channel.pass_time(channel.now + timedelta(seconds=seconds))
        if what == "end":
            if incident in live:
                live.discard(incident)
                channel.take_in(incident, K.RESOLVED)
        elif incident not in live:
            channel.take_in(incident, K.REOPENED if incident in seen else K.OPENED, critical=is_critical)
            live.add(incident)
            seen.add(incident)
            critical = critical | {incident} if is_critical else critical - {incident}
        elif incident not in critical:
            channel.take_in(incident, K.ESCALATED, critical=True)
            critical.add(incident)
    channel.pass_time(channel.now + DAYS)
    reported = Counter((row.incident, row.sequence) for each in channel.sent for row in each.rows)
    assert set(reported.values()) <= {1}
    assert len(reported) == len(channel.rows)
    for incident in seen:
        places = [row.sequence for each in channel.sent for row in each.rows if row.incident == incident]
        assert places == sorted(places)


@given(STEPS)
@settings(max_examples=60)
def test_what_is_critical_waits_half_a_window_at_most_and_an_opening_one(
    steps: list[tuple[int, str, bool, float]],
) -> None:
    channel, live, places = a_channel(), set[int](), Counter[int]()
    for incident, what, is_critical, seconds in steps:
        channel.pass_time(channel.now + timedelta(seconds=seconds))
        if what == "worse" and incident not in live:
            channel.take_in(incident, K.OPENED if not places[incident] else K.REOPENED, critical=is_critical)
            live.add(incident)
            places[incident] += 1
    channel.pass_time(channel.now + DAYS)
    for each in channel.sent:
        for row in each.rows:
            waited = each.at - row.created_at
            assert waited <= GROUPING.window
            group = channel.group_of(row.incident)
            if group is None:
                assert waited == GROUPING.wait


def test_what_one_message_covers_has_something_to_send() -> None:
    alert = Waiting(UUID(int=1), 1, K.ESCALATED, DeliveryState.PENDING)
    end = replace(alert, sequence=2, kind=K.RESOLVED)
    reminder, question = replace(alert, reminder=True), replace(alert, reminder=True, long_drift=True)
    states = (DeliveryState.PENDING, DeliveryState.PARKED)
    for kinds in ((alert, question), (alert, end, question), (alert, reminder, question), (alert, reminder, end)):
        for chosen in product(states, repeat=len(kinds)):
            queue = [
                replace(each, state=state, was_undeliverable=state is DeliveryState.PARKED)
                for each, state in zip(kinds, chosen, strict=True)
            ]
            sent = whole(queue)
            assert queue[: len(sent)] == list(sent)
            assert any(each.state is DeliveryState.PENDING for each in sent) is (DeliveryState.PENDING in chosen)

"""Which transitions go where, and how urgent they are."""

from __future__ import annotations

from uuid import UUID

import pytest

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.domain.routing import Route, Urgency, matching_routes, urgency_of
from tests.unit.notifier.stories import OPEN_WARN, a_transition, acknowledged, opened_critical, opened_warn, resolved

SLACK, PAGER = UUID(int=1), UUID(int=2)
EVERYTHING = Route(UUID(int=11), SLACK, ())
FLIGHTS = Route(UUID(int=12), PAGER, ("flights-*", "weather"))
TWICE = Route(UUID(int=13), SLACK, ("flights-*",))


def test_route_without_patterns_takes_every_model() -> None:
    assert matching_routes(opened_warn(model_id="anything"), [EVERYTHING, FLIGHTS]) == [EVERYTHING]


def test_patterns_choose_models() -> None:
    assert matching_routes(opened_warn(model_id="flights-delay"), [FLIGHTS]) == [FLIGHTS]
    assert matching_routes(opened_warn(model_id="weather2"), [FLIGHTS]) == []


def test_pattern_is_case_sensitive_like_model_ids() -> None:
    assert matching_routes(opened_warn(model_id="Weather"), [FLIGHTS]) == []


def test_transition_that_is_no_alert_goes_nowhere() -> None:
    assert matching_routes(acknowledged(), [EVERYTHING]) == []


def test_channel_hears_a_transition_once_however_many_routes_match() -> None:
    assert matching_routes(opened_critical(), [EVERYTHING, FLIGHTS, TWICE]) == [EVERYTHING, FLIGHTS]


@pytest.mark.parametrize(
    ("transition", "urgency"),
    [
        (opened_critical(), Urgency.CRITICAL_ALARM),
        (opened_warn(), Urgency.ALARM),
        (resolved(), Urgency.NEWS),
        (a_transition(TransitionKind.REOPENED, to=OPEN_WARN), Urgency.ALARM),
        (a_transition(TransitionKind.MONITOR_CHANGED), Urgency.NEWS),
    ],
)
def test_critical_alarms_before_warnings_before_news(transition: object, urgency: Urgency) -> None:
    assert urgency_of(transition) is urgency  # type: ignore[arg-type]

"""Which transitions go where, and how urgent they are."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.transition import Severity, TransitionKind
from sentryml_notifier.domain.routing import (
    ALERTING,
    CLOSING,
    OPENING,
    Notified,
    Past,
    Route,
    Step,
    Urgency,
    Why,
    judge,
    matching_routes,
    notified_by,
    urgency_of,
    verdicts,
)
from tests.unit.notifier.builders import OPEN_WARN, a_transition, acknowledged, opened_critical, opened_warn, resolved

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
        (opened_critical(), Urgency.CRITICAL_ALERT),
        (opened_warn(), Urgency.ALERT),
        (resolved(), Urgency.NEWS),
        (a_transition(TransitionKind.REOPENED, to=OPEN_WARN), Urgency.ALERT),
        (a_transition(TransitionKind.MONITOR_CHANGED), Urgency.NEWS),
    ],
)
def test_critical_alerts_before_warnings_before_news(transition: object, urgency: Urgency) -> None:
    assert urgency_of(transition) is urgency  # type: ignore[arg-type]


K, CHANNELS = TransitionKind, [UUID(int=number) for number in range(1, 4)]
ROUTES = st.lists(
    st.builds(
        Route,
        st.uuids(),
        st.sampled_from(CHANNELS),
        st.sampled_from([(), ("m*",), ("x*",)]),
        st.sampled_from(Severity),
        st.sampled_from([frozenset(), frozenset({K.OPENED}), frozenset(ALERTING | {K.NOTED})]),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda route: route.route_id,
)
STEPS = st.lists(
    st.builds(Step, st.just("model"), st.sampled_from(K), st.sampled_from(Severity), st.booleans()), max_size=12
)


def lived(first: Step, steps: list[Step], routes: list[Route]) -> list[tuple[Step, list[Route]]]:
    """An incident's steps from its beginning, and the routes that each took."""
    past: list[Past] = []
    found = []
    for step in (first, *steps):
        taken = [route for route, why in verdicts(step, routes, notified_by(past)) if why.taken]
        past.append(Past(step.kind, tuple((route.route_id, route.channel_id) for route in taken)))
        found.append((step, taken))
    return found


@given(ROUTES, STEPS, st.sampled_from(Severity))
def test_who_hears_an_alert_hears_its_end_and_nobody_else_does(
    routes: list[Route], steps: list[Step], severity: Severity
) -> None:
    notified: set[UUID] = set()
    for step, taken in lived(Step("model", K.OPENED, severity, alert=True), steps, routes):
        reported = [route.channel_id for route in taken]
        assert len(reported) == len(set(reported)), "a channel hears a step once"
        if step.kind in OPENING:
            notified = set()
        if step.kind in ALERTING:
            notified |= set(reported)
        else:
            assert set(reported) <= notified, "nothing follows what was not received"
        if step.kind in CLOSING and step.alert:
            assert set(reported) == notified


@pytest.mark.parametrize(
    ("step", "route", "notified", "why"),
    [
        (Step("m", K.OPENED, Severity.WARN, True), Route(UUID(int=9), SLACK, enabled=False), None, Why.DISABLED),
        (Step("m", K.NOTED, Severity.WARN, False), EVERYTHING, None, Why.NO_ALERT),
        (Step("m", K.NOTED, Severity.WARN, False), Route(UUID(int=9), SLACK, kinds=ALERTING), None, Why.OTHER_KIND),
        (Step("m", K.OPENED, Severity.WARN, True), FLIGHTS, None, Why.OTHER_MODEL),
        (
            Step("m", K.OPENED, Severity.WARN, True),
            Route(UUID(int=9), SLACK, least_severity=Severity.CRITICAL),
            None,
            Why.LESS_SEVERE,
        ),
        (
            Step("m", K.RESOLVED, Severity.WARN, True),
            EVERYTHING,
            Notified(frozenset(), frozenset()),
            Why.ALERT_NOT_NOTIFIED,
        ),
        (
            Step("m", K.RESOLVED, Severity.WARN, True),
            FLIGHTS,
            Notified(frozenset(), frozenset({PAGER})),
            Why.OTHER_MODEL,
        ),
        (
            Step("m", K.RESOLVED, Severity.WARN, True),
            FLIGHTS,
            Notified(frozenset({FLIGHTS.route_id}), frozenset({PAGER})),
            Why.FOLLOWS_ITS_ALERT,
        ),
    ],
)
def test_every_verdict_has_its_reason(step: Step, route: Route, notified: Notified | None, why: Why) -> None:
    assert judge(step, route, notified) is why
    assert why.text.startswith("Taken" if why.taken else "Not taken")

"""What the metrics of incidents say, after real lives of models."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY

from sentryml_common.contracts.api_key import Scope
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.timer import Timer
from tests.integration.incidents.conftest import Life, MakeClient, StillClock, register
from tests.unit.incidents.builders import at, quick


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Grown:
    """How much a counter has grown since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = value(name, **labels)

    @property
    def by(self) -> float:
        return value(self._name, **self._labels) - self._before


def steps(came_from: str, to: str, cause: str) -> Grown:
    labels: dict[str, Any] = {"from": came_from, "to": to, "cause": cause}
    return Grown("sentryml_incident_transitions_total", **labels)


async def test_steps_are_counted_by_where_they_lead_and_why(life: Life) -> None:
    opened = steps("none", "open", "psi_above_critical")
    over = steps("open", "resolved", "data_returned_to_normal")
    await life.sees("critical", "ok")
    assert (opened.by, over.by) == (1, 1)


async def test_time_to_acknowledgement_is_observed(life: Life, client_with: MakeClient, clock: StillClock) -> None:
    await life.sees("critical")
    client = await client_with(Scope.WRITE)
    count, total = Grown("sentryml_incident_ack_seconds_count"), Grown("sentryml_incident_ack_seconds_sum")
    clock.now = at(61)
    answer = await client.post("/v1/incidents/1/acknowledge")
    assert answer.status_code == 200, answer.text
    assert (count.by, total.by) == (1, 3600)


async def test_incident_that_keeps_coming_back_is_flapping(pool: Pool, life: Life, clock: StillClock) -> None:
    await life.sees("critical", "ok", "critical", "ok", "critical")
    await Timer(pool, 90, clock).tick()
    assert value("sentryml_incident_flapping") == 0
    await life.sees("ok", "critical")
    await Timer(pool, 90, clock).tick()
    assert value("sentryml_incident_flapping") == 1


async def test_models_that_cannot_be_judged_are_counted_by_reason(pool: Pool, life: Life, clock: StillClock) -> None:
    await register(pool, "seeing", quick())
    await Life(pool, "seeing").sees("ok")
    await life.sees("insufficient")
    await Timer(pool, 90, clock).tick()
    assert value("sentryml_monitor_evaluation_paused", reason="no_data") == 1
    assert value("sentryml_monitor_evaluation_paused", reason="warming_up") == 0
    await life.sees("ok")
    await Timer(pool, 90, clock).tick()
    assert value("sentryml_monitor_evaluation_paused", reason="no_data") == 0

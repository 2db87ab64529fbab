"""The auditor: what it finds on a real ledger, and that its timestamp moves only when there is nothing to find."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from sentryml_common.contracts.api_key import Scope
from sentryml_common.health import Health
from sentryml_common.postgres.pool import transaction
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.delivery.auditor import audit_once, measure
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.store.audit import Fault
from sentryml_notifier.store.channels import pause_channel
from tests.integration.notifier.api_client import Api, api
from tests.integration.notifier.conftest import World
from tests.unit.notifier.builders import acknowledged, escalated, opened_critical, opened_warn, resolved

__all__ = ["api"]

ARCHIVED = Script(status=410, body="channel_is_archived")


def last_success() -> float:
    return REGISTRY.get_sample_value("sentryml_last_successful_audit_timestamp") or 0.0


async def faults(world: World) -> list[Fault]:
    """What an audit finds; its timestamp moves exactly if that is nothing."""
    before = last_success()
    world.clock.advance(1)
    found = list((await audit_once(world.pool, world.clock)).findings)
    assert last_success() == (before if found else world.clock.now.timestamp())
    for fault in Fault:
        shown = REGISTRY.get_sample_value("sentryml_audit_findings", {"fault": fault.value})
        assert shown == sum(each.fault is fault for each in found)
    return [each.fault for each in found]


@pytest.fixture(autouse=True)
def earlier(world: World) -> None:
    """Tests share the gauge: start later than any before."""
    world.clock.advance(max(0.0, last_success() - world.clock.now.timestamp() + 1))


async def test_sound_ledger_passes_with_something_in_each_state(world: World) -> None:
    await world.take_in(opened_critical(incident=1))
    await world.dispatch()
    world.slack.play(ARCHIVED)
    await world.take_in(opened_critical(incident=2))
    await world.dispatch()
    await world.take_in(opened_critical(incident=3))
    assert {row["state"] for row in await world.deliveries()} == {"delivered", "parked"}
    assert await faults(world) == []
    await world.open_channel()
    assert {row["state"] for row in await world.deliveries()} == {"delivered", "pending"}
    assert await faults(world) == []


async def test_channel_that_nobody_serves_is_found(world: World) -> None:
    await world.open_channel(rate=Rate(1.0, 1))
    await world.take_in(opened_critical(), opened_warn(incident=2))
    world.clock.advance(298)
    assert await faults(world) == [], "it may still be taken"
    world.clock.advance(2)
    assert await faults(world) == [Fault.NOT_SERVED]
    assert await world.dispatch() == 1
    assert await faults(world) == [], "the other waits for its turn"


async def test_channel_that_was_asked_to_wait_is_not_called_unserved(world: World) -> None:
    await world.take_in(opened_critical())
    async with transaction(world.pool) as connection:
        await pause_channel(connection, world.channel.channel_id, world.clock.now.replace(year=2030))
    world.clock.advance(3600)
    assert await faults(world) == []


async def test_parked_for_a_channel_that_works_is_found(world: World) -> None:
    world.slack.play(ARCHIVED)
    await world.take_in(opened_critical())
    await world.dispatch()
    await world.pool.execute("UPDATE channel SET state = 'active', broken_reason = NULL")
    assert await faults(world) == [Fault.ORPHANED]


async def test_parked_without_a_reason_is_found(world: World) -> None:
    world.slack.play(ARCHIVED)
    await world.take_in(opened_critical())
    await world.dispatch()
    await world.pool.execute("UPDATE delivery SET last_text = NULL")
    assert await faults(world) == [Fault.UNEXPLAINED]


async def lose_deliveries(world: World, kind: str) -> None:
    """Delete by hand what was made of steps of a kind."""
    await world.pool.execute("DELETE FROM delivery_outbox")
    await world.pool.execute("DELETE FROM delivery WHERE kind = $1", kind)


async def change_route(world: World, text: str) -> None:
    """Switch the route off, as the API does, and say so."""
    await world.pool.execute("UPDATE route SET enabled = false")
    await world.pool.execute(
        """
        INSERT INTO change (at, actor, action, subject_id, subject, text)
        SELECT $1, '{}', 'route_changed', route_id, name, $2 FROM route
        """,
        world.clock(),
        text,
    )


async def test_alert_of_which_nothing_was_made_is_found_for_a_day(world: World) -> None:
    await world.take_in(opened_critical(incident=1), opened_warn(incident=2))
    assert await faults(world) == []
    await world.pool.execute("DELETE FROM delivery_outbox")
    await world.pool.execute("DELETE FROM delivery WHERE incident_id = $1", opened_critical(incident=1).incident_id)
    assert await faults(world) == [Fault.ALERT_LOST]
    assert await faults(world) == [Fault.ALERT_LOST], "it is still lost"
    await world.dispatch()
    world.clock.advance(24 * 3600)
    assert await faults(world) == []


async def test_lost_end_of_an_alert_is_found(world: World) -> None:
    await world.take_in(opened_warn(), acknowledged(), escalated(sequence=3), resolved(sequence=4))
    assert await faults(world) == []
    await lose_deliveries(world, "resolved")
    assert await faults(world) == [Fault.ALERT_LOST]


async def test_end_that_nobody_need_hear_is_not_called_lost(world: World) -> None:
    """Its alert reached nobody, or its route has been switched off since."""
    await world.pool.execute("UPDATE route SET model_patterns = '{else-*}'")
    await world.take_in(opened_warn(incident=1), resolved(incident=1))
    assert await faults(world) == []
    await world.pool.execute("UPDATE route SET model_patterns = '{}'")
    await world.take_in(opened_warn(incident=2))
    await change_route(world, "enabled: yes → no")
    await world.take_in(resolved(incident=2))
    await world.pool.execute("UPDATE route SET enabled = true")
    assert await faults(world) == []


async def test_alert_that_no_route_took_and_nobody_noted_is_found(world: World) -> None:
    await world.pool.execute("UPDATE route SET model_patterns = '{else-*}'")
    await world.take_in(opened_critical())
    assert await faults(world) == []
    await world.pool.execute("DELETE FROM unrouted")
    assert await faults(world) == [Fault.ALERT_LOST]


async def test_step_that_never_came_is_found(world: World) -> None:
    """What was dead-lettered is in no table; the numbers of the steps around it tell."""
    await world.take_in(opened_warn(), acknowledged())
    assert await faults(world) == []
    await world.take_in(resolved(sequence=4))
    assert await faults(world) == [Fault.STEP_MISSING]
    await world.take_in(escalated(sequence=3))
    assert await faults(world) == []


async def test_incident_met_in_its_middle_misses_nothing(world: World) -> None:
    """Kafka forgets after 30 days: a new notifier does not know how old incidents began."""
    await world.take_in(resolved(sequence=7))
    assert await faults(world) == []


async def test_alert_whose_channel_was_deleted_in_that_moment_is_reported_as_unrouted(world: World) -> None:
    """The route was read, and its channel deleted before the delivery was made."""
    await world.pool.execute("UPDATE channel SET deleted_at = now()")
    await world.take_in(opened_critical())
    assert await world.deliveries() == []
    assert await world.pool.fetchval("SELECT count(*) FROM unrouted") == 1
    assert await faults(world) == []


async def test_alert_that_no_route_takes_is_counted(world: World) -> None:
    await world.take_in(opened_critical(incident=1), acknowledged())
    await world.pool.execute("UPDATE route SET model_patterns = '{else-*}'")
    await world.take_in(opened_critical(incident=2), acknowledged(sequence=3))
    await audit_once(world.pool, world.clock)
    assert REGISTRY.get_sample_value("sentryml_alerts_without_route") == 1
    world.clock.advance(25 * 3600)
    await audit_once(world.pool, world.clock)
    assert REGISTRY.get_sample_value("sentryml_alerts_without_route") == 0


async def test_readyz_names_a_broken_channel_and_is_ready_all_the_same(world: World) -> None:
    health = Health()
    world.slack.play(ARCHIVED)
    await world.take_in(opened_critical())
    await world.dispatch()
    await measure(world.pool, world.clock, health)
    assert "archived" in health.all_details["broken_channels"]["slack"]
    assert "broken_channels" not in health.waiting_for
    await world.open_channel()
    await measure(world.pool, world.clock, health)
    assert health.all_details == {}


async def test_the_last_audit_can_be_asked_for(world: World, api: Api) -> None:
    problem = await api.ask("GET", "/v1/audit", 503)
    assert "no audit has finished" in problem["detail"]
    await world.take_in(opened_critical())
    api.context.keep_audit(await audit_once(world.pool, world.clock))
    found = await api.ask("GET", "/v1/audit", 200)
    assert found == {
        "at": world.clock.now.isoformat().replace("+00:00", "Z"),
        "findings": [],
        "alerts_without_route": 0,
    }
    await world.pool.execute("UPDATE channel SET bucket_full_at = NULL")
    world.clock.advance(600)
    api.context.keep_audit(await audit_once(world.pool, world.clock))
    (finding,) = (await api.ask("GET", "/v1/audit", 200))["findings"]
    assert (finding["fault"], finding["channel"]) == ("not_served", "slack")


async def test_lost_alert_is_reported_to_those_who_may_know_of_its_model(world: World, api: Api) -> None:
    await world.take_in(opened_critical(incident=1, model_id="fraud-card"), opened_critical(incident=2))
    await world.pool.execute("DELETE FROM delivery_outbox")
    await world.pool.execute("DELETE FROM delivery")
    api.context.keep_audit(await audit_once(world.pool, world.clock))
    found = (await api.ask("GET", "/v1/audit", 200))["findings"]
    assert [(each["fault"], each["channel"]) for each in found] == [("alert_lost", None)] * 2
    some = api.key("sometest0000", Scope.READ, models=("fraud-*",))
    (finding,) = (await api.ask("GET", "/v1/audit", 200, headers=some))["findings"]
    assert finding["text"].startswith("fraud-card: incident #1")

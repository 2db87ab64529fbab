"""The sign of life of a notifier: a request while alerts can be delivered, and none while they cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from sentryml_common.health import Health
from sentryml_notifier.channels.outbound import make_client
from sentryml_notifier.delivery.auditor import audit_once
from sentryml_notifier.store.fallback import set_fallback
from sentryml_notifier.system_alerts.heartbeat import FAILED, SENT, WITHHELD, Heartbeat
from tests.integration.notifier.conftest import World
from tests.support.http_server import HttpServer, answer, flood, http_server, reset
from tests.unit.notifier.builders import opened_critical

PATH = "/ping/0c4c6a1e"


@dataclass
class Beating:
    """A heartbeat of a world whose Kafka answers and whose consumer works."""

    world: World
    there: HttpServer
    heartbeat: Heartbeat

    async def beat(self) -> str:
        audit = await audit_once(self.world.pool, self.world.clock)
        self.heartbeat.audit = lambda: audit
        assert self.heartbeat.url is not None
        return await self.heartbeat.beat(self.heartbeat.url)

    @property
    def details(self) -> dict[str, str]:
        return self.heartbeat.health.all_details.get("heartbeat", {})


@pytest.fixture
async def beating(world: World) -> AsyncIterator[Beating]:
    health = Health()
    health.ready("start")
    async with http_server() as there, make_client({there.authority}) as client:
        url = httpx.URL(f"http://{there.authority}{PATH}")
        heartbeat = Heartbeat(url, client, world.pool, health, world.clock, lambda: None, world.clock, lambda: 0.0)
        yield Beating(world, there, heartbeat)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("sentryml_heartbeats_total", {"outcome": outcome}) or 0.0


async def test_the_address_is_called_while_deliveries_work(beating: Beating) -> None:
    before = counted(SENT)
    assert await beating.beat() == SENT
    assert [each.line for each in beating.there.received] == [f"GET {PATH} HTTP/1.1"]
    assert beating.details == {}
    assert counted(SENT) == before + 1


async def test_a_lost_alert_withholds_it_until_the_audit_finds_nothing(beating: Beating) -> None:
    world = beating.world
    await world.take_in(opened_critical())
    await world.pool.execute("TRUNCATE delivery CASCADE")
    assert await beating.beat() == WITHHELD
    assert "the audit of deliveries has found a fault: alert_lost" in beating.details[WITHHELD]
    assert "flights" not in str(beating.details), "anybody may read /readyz"
    assert beating.there.received == []
    world.clock.advance(25 * 3600)
    assert await beating.beat() == SENT
    assert beating.details == {}


async def test_it_is_withheld_while_every_channel_of_system_alerts_is_broken(beating: Beating) -> None:
    world = beating.world
    await world.pool.execute("UPDATE channel SET state = 'broken', broken_reason = 'archived'")
    assert await beating.beat() == WITHHELD
    assert beating.details == {WITHHELD: "no channel works that system alerts go to"}
    other = await world.pool.fetchval(
        "INSERT INTO channel (name, kind, fingerprint) VALUES ('other', 'slack_webhook', 'o') RETURNING channel_id"
    )
    async with world.pool.acquire() as connection:
        await set_fallback(connection, world.channel.channel_id, other)
    assert await beating.beat() == SENT


async def test_it_is_withheld_while_no_consumer_works_or_postgres_is_away(beating: Beating) -> None:
    beating.heartbeat.consumer_idle = lambda: 61.0
    assert await beating.beat() == WITHHELD
    assert "transitions are not taken in" in beating.details[WITHHELD]
    beating.heartbeat.consumer_idle = lambda: 0.0
    assert await beating.beat() == SENT
    await beating.world.pool.close()
    assert beating.heartbeat.url is not None
    assert await beating.heartbeat.beat(beating.heartbeat.url) == WITHHELD
    assert "PostgreSQL does not answer" in beating.details[WITHHELD]


async def test_a_call_that_is_refused_or_breaks_has_failed_and_its_address_is_in_no_log(beating: Beating) -> None:
    beating.there.answers[:] = [answer(404), answer(302, location="https://other.example/"), reset, flood]
    with capture_logs() as logs:
        for why in ("the answer was 404", "the answer was 302"):
            assert await beating.beat() == FAILED
            assert beating.details == {FAILED: why}
        assert await beating.beat() == FAILED
        assert await beating.beat() == SENT, "what a long answer says is not read"
    assert [each["event"] for each in logs if "heartbeat" in each["event"]] == ["heartbeat_not_sent"] * 3
    assert PATH not in str(logs)
    assert PATH not in str(beating.details)


async def test_an_address_that_is_not_public_is_not_called(beating: Beating) -> None:
    async with make_client() as client:
        beating.heartbeat.client = client
        assert await beating.beat() == FAILED
    assert "must begin with https://" in beating.details[FAILED]
    assert beating.there.received == []

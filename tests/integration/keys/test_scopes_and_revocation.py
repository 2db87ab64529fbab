"""How far a key reaches, and how soon no more: made and revoked in incidents, checked in ingest."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path

from tests.integration.incidents.test_service import make_key
from tests.integration.ingest.conftest import StartIngest
from tests.integration.keys.conftest import EVENT, incidents, key_id, until
from tests.support.eventually import eventually

log = logging.getLogger(__name__)


async def test_ingest_knows_keys_without_incidents_and_postgres_also_after_its_own_restart(
    kafka_bootstrap: str, database_url: str, start_ingest: StartIngest, tmp_path: Path
) -> None:
    """Its PostgreSQL is nowhere from the start; incidents is killed once the keys are made."""
    settings = {"kafka_bootstrap": kafka_bootstrap, "postgres_url": database_url}
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap)
    with incidents(tmp_path, make_key(database_url, tmp_path), **settings) as service:
        await service.service.answers(200, "/readyz")
        good, revoked = [await service.make_key("events:write") for _ in range(2)]
        for key in (good, revoked):
            await until(ingest, key, 202)
        assert (await service.ask("DELETE", f"/v1/api-keys/{key_id(revoked)}")).status_code == 204
        began = time.perf_counter()
        await until(ingest, revoked, 401)
        log.info("revoked in ingest %.0f ms after the answer", 1000 * (time.perf_counter() - began))
        rotated = await service.ask("POST", f"/v1/api-keys/{key_id(good)}/rotate", json={"overlap_seconds": 600})
        successor = rotated.json()["api_key"]
        await until(ingest, successor, 202)
        await service.service.stop(signal.SIGKILL)
    await ingest.stop(signal.SIGKILL)
    again = start_ingest(kafka_bootstrap=kafka_bootstrap)
    await again.until_ready()
    statuses = [(await again.send(key, EVENT)).status_code for key in (good, successor, revoked)]
    assert statuses == [202, 202, 401]


async def test_the_last_use_in_ingest_is_shown_by_incidents(
    kafka_bootstrap: str, database_url: str, start_ingest: StartIngest, tmp_path: Path
) -> None:
    """Incidents is stopped once the key is used: what ingest reports waits in Kafka."""
    settings = {"kafka_bootstrap": kafka_bootstrap, "postgres_url": database_url}
    admin_key, ingest = make_key(database_url, tmp_path), start_ingest(kafka_bootstrap=kafka_bootstrap)
    with incidents(tmp_path, admin_key, **settings) as service:
        await service.service.answers(200, "/readyz")
        used, unused = [await service.make_key("events:write") for _ in range(2)]
        await until(ingest, used, 202)
        assert await service.service.stop() == 0
    with incidents(tmp_path, admin_key, **settings) as service:
        await service.service.answers(200, "/readyz")

        async def by_ingest() -> bool:
            return (await service.shown(used))["last_used_by"] == "ingest"

        await eventually(by_ingest, what="the use to be shown")
        assert (await service.shown(used))["last_used_at"] is not None
        assert (await service.shown(unused))["last_used_at"] is None

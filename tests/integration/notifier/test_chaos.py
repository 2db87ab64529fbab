"""The short form of `make chaos-notifier`: every step is died at, every fault met, and no promise broken."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.notifier import SHORT, run_once
from tests.chaos.notifier_dying import STEPS


async def test_every_alert_is_delivered_or_visibly_undeliverable(
    kafka_bootstrap: str, database_url: str, tmp_path: Path
) -> None:
    said: list[str] = []
    found, deaths = await run_once(tmp_path, kafka_bootstrap, database_url, 1, SHORT, said.append)
    assert found == [], "\n".join(said)
    assert set(deaths) == set(STEPS), "\n".join(said)

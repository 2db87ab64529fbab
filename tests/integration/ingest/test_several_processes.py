"""Ingest as several processes on one port: all serve, and the end of one of them refuses nobody.

Processes are frozen and killed by their ids: what answers then is another.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal

import psutil

from sentryml_common.contracts.api_key import Scope
from tests.integration.ingest.conftest import Ingest, StartIngest, make_key, records_of
from tests.support.eventually import eventually, eventually_sync
from tests.support.frozen import frozen


def children(ingest: Ingest) -> list[int]:
    """The processes that the parent has started."""
    try:
        return sorted(each.pid for each in psutil.Process(ingest.process.pid).children())
    except psutil.NoSuchProcess:
        return []


async def accepted_events(ingest: Ingest) -> float:
    """What the metrics say, whichever process answers."""
    answer = await ingest.ask("GET", "/metrics")
    assert answer is not None
    found = re.findall(r"^sentryml_ingest_events_accepted_total (\S+)$", answer.text, re.MULTILINE)
    return float(found[0])


async def test_processes_share_a_port_and_one_that_ends_is_restarted_without_a_refused_request(
    start_ingest: StartIngest, kafka_bootstrap: str, model_id: str
) -> None:
    key, _ = await make_key(kafka_bootstrap, Scope.EVENTS_WRITE)
    ingest, sent = start_ingest(kafka_bootstrap=kafka_bootstrap, ingest_processes=2), 0

    async def send() -> None:
        nonlocal sent
        answer = await ingest.send(key, {"model_id": model_id, "prediction": sent})
        assert answer.status_code == 202, answer.text
        sent += 1

    await _ready(ingest, 2)
    first, second = children(ingest)
    for pid in (first, second):
        with frozen(pid):  # the other one takes all connections
            for _ in range(3):
                await send()
    os.kill(first, signal.SIGKILL)
    await _ended(ingest, 1)
    await send()
    await _ready(ingest, 3)
    [new] = set(children(ingest)) - {second}
    with frozen(second):
        await send()
    await ingest.until_ready()
    os.kill(second, signal.SIGTERM)  # an orderly end
    for _ in range(5):
        await send()
    [ended, stopped] = await _ended(ingest, 2)
    assert (ended["pid"], ended["code"], stopped["pid"], stopped["code"]) == (first, -9, second, 0)
    assert new in children(ingest)
    assert await accepted_events(ingest) == sent, "those of processes that have ended, too"
    predictions = [each["prediction"] for _, events in await records_of(kafka_bootstrap, model_id) for each in events]
    assert sorted(predictions) == list(range(sent))
    assert await ingest.stop() == 0
    assert not psutil.pid_exists(new)


async def test_a_parent_that_is_killed_leaves_no_process(start_ingest: StartIngest, kafka_bootstrap: str) -> None:
    ingest = start_ingest(kafka_bootstrap=kafka_bootstrap, ingest_processes=2)
    await _ready(ingest, 2)
    left = children(ingest)
    await ingest.stop(signal.SIGKILL)
    eventually_sync(lambda: not any(map(psutil.pid_exists, left)), what="its processes to end")


async def test_a_setting_that_does_not_fit_ends_all(start_ingest: StartIngest, kafka_bootstrap: str) -> None:
    """No process is started over and over that can never begin."""
    ingest = start_ingest(
        kafka_bootstrap=kafka_bootstrap, ingest_processes=2, topic_prefix="missing-", topics_create=False
    )
    assert await asyncio.to_thread(ingest.process.wait) == 78
    assert ingest.logged("process_ended") == []


async def _true(value: object) -> bool:
    return bool(value)


async def _ready(ingest: Ingest, count: int) -> None:
    """Wait until that number of processes, with those that have ended, has read the keys and the monitors."""
    await eventually(lambda: _true(len(ingest.logged("topic_read")) == 2 * count), what=f"{count} processes")


async def _ended(ingest: Ingest, count: int) -> list[dict[str, object]]:
    await eventually(lambda: _true(len(ingest.logged("process_ended")) == count), what=f"{count} ends in the log")
    return ingest.logged("process_ended")

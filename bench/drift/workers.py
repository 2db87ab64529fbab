"""A combiner and a processor as processes of their own, as they run in production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from tests.chaos.workers import Worker, workers_of
from tests.support.own_kafka import OwnKafka


@contextmanager
def running_workers(kafka: OwnKafka, *defaults: str) -> Iterator[list[Worker]]:
    """Run one of each; these settings are as they are by default."""
    with TemporaryDirectory() as folder:
        found = workers_of(Path(folder), kafka.bootstrap, 60.0, "rocksdb", 0.0)
        workers = [each for each in found if "-1" in each.name]
        for worker in workers:
            for name in defaults:
                worker.environment.pop(name)
            worker.start()
        try:
            yield workers
        finally:
            for worker in workers:
                worker.kill()


def process_of(worker: Worker) -> psutil.Process:
    """The process of a worker that runs."""
    assert worker.process is not None
    return psutil.Process(worker.process.pid)


async def metric_of(url: str, name: str) -> float | None:
    """The value of a metric; None while the process does not say."""
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            said = (await client.get(f"{url}/metrics")).text
    except httpx.TransportError:
        return None
    found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
    return None if found is None else float(found[1])

"""A combiner and a processor as processes of their own, as they run in production."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

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

"""A process that writes to a partition of the table's changelog without end, and says each number it has written.

    python -m tests.support.table_writer <bootstrap> <partition> <prefix>

Each batch writes all of KEYS with one number; it dwells inside the batch, so that a freeze falls there.
"""

from __future__ import annotations

import asyncio
import sys

from sentryml_common.health import Health
from sentryml_common.settings import KafkaSettings
from sentryml_drift.state.partition_writer import Changelog, FencedOff
from tests.support.slow_commits import dwell_in_transactions

KEYS = [f"key-{number}".encode() for number in range(50)]
DWELL_SECONDS = 0.1
EXIT_FENCED = 3


async def write(bootstrap: str, partition: int, prefix: str) -> int:
    """Write until another writer has taken over."""
    dwell_in_transactions(DWELL_SECONDS)
    log = await Changelog.take_over(partition, KafkaSettings(kafka_bootstrap=bootstrap), Health())
    number = 0
    while True:
        number += 1
        try:
            await log.append({key: f"{prefix}-{number}".encode() for key in KEYS})
        except FencedOff:
            return EXIT_FENCED
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(write(sys.argv[1], int(sys.argv[2]), sys.argv[3])))

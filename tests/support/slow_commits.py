"""Time between the writes of a transaction and its end, in which a process can be frozen or killed.

python -m tests.support.slow_commits <seconds>        runs the processor so
"""

from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaProducer

from sentryml_drift.app import run_processor


def dwell_in_transactions(seconds: float) -> None:
    """From now on every transaction of this process dwells before its end, with all its writes landed."""
    commit = AIOKafkaProducer.commit_transaction

    async def dwell(producer: AIOKafkaProducer) -> None:
        await producer.flush()
        await asyncio.sleep(seconds)
        await commit(producer)

    AIOKafkaProducer.commit_transaction = dwell


if __name__ == "__main__":
    dwell_in_transactions(float(sys.argv[1]))
    run_processor()

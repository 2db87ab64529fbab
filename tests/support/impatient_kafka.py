"""For processes that tests kill or that wait for new partitions: neither takes longer than it must.

python -m tests.support.impatient_kafka <module> [arguments]        runs a module so
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

from sentryml_common.kafka import ownership

SESSION_SECONDS = 6 if "SENTRYML_TEST_KAFKA" in os.environ else 3
"""The local stack's Kafka allows less than the default of other ones, which is 6."""


def forget_the_dead_soon() -> None:
    """Have Kafka give the partitions of a dead process away after a short time, and notice within a second which are
    new, and which nobody reads."""
    begin = AIOKafkaConsumer.__init__
    soon = {"session_timeout_ms": SESSION_SECONDS * 1000, "heartbeat_interval_ms": SESSION_SECONDS * 1000 // 6}

    def begin_shortly(self: AIOKafkaConsumer, *topics: str, **options: Any) -> None:
        # Only a client that refreshes its metadata gets them sooner: by default clients notice after minutes.
        asks = {"metadata_max_age_ms": 1_000} if "metadata_max_age_ms" in options else {}
        begin(self, *topics, **options | soon | asks)

    AIOKafkaConsumer.__init__ = begin_shortly
    ownership.CHECK_SECONDS = 1.0


if __name__ == "__main__":
    forget_the_dead_soon()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

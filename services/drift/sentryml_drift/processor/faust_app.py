"""Faust, run by us: its settings, its start and end, and a watchdog over its movement.

Every setting that matters is stated, because Faust otherwise reads unprefixed environment variables.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping

import faust

from sentryml_common.clock import system_clock
from sentryml_common.contracts.topics import HISTOGRAMS, PROCESSOR_APP
from sentryml_common.errors import SentryMLError
from sentryml_common.health import Health
from sentryml_common.kafka.client import client_options
from sentryml_common.kafka.producer import COMPRESSION
from sentryml_common.metrics import CONSUMER_LAG
from sentryml_common.settings import KafkaSettings
from sentryml_drift.processor.faust_input import FaustInput
from sentryml_drift.processor.housekeeping import Housekeeping
from sentryml_drift.processor.loop import Processor
from sentryml_drift.settings import DriftSettings
from sentryml_drift.watchdog import WATCH_SECONDS, Watchdog

LIFE_SECONDS = 0.5
FORGET_SECONDS = 1.0
PURGE_SECONDS = 60.0
METADATA_MILLISECONDS = 10_000
JOINING = "joining the group and catching up with the input"


def make_app(settings: DriftSettings) -> faust.App:
    """The Faust application with every setting that matters stated; Faust's web server stays off."""
    timeout = settings.session_timeout_seconds
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    return faust.App(
        settings.prefixed(PROCESSOR_APP),
        broker=[f"kafka://{address}" for address in settings.kafka_bootstrap.split(",")],
        datadir=str(settings.state_dir),
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=HISTOGRAMS.partitions,
        topic_replication_factor=settings.topics_replication,
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_publish_on_commit=False,
        stream_buffer_maxsize=256,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=8_000_000,
        # A group that is balanced while a broker starts may share out topics of which no partition is known yet.
        consumer_metadata_max_age_ms=METADATA_MILLISECONDS,
        broker_session_timeout=timeout,
        broker_heartbeat_interval=timeout / 5,
        broker_rebalance_timeout=30.0,
        broker_max_poll_interval=300.0,
        broker_commit_interval=1.0,
        broker_commit_livelock_soft_timeout=86_400.0,
        producer_acks=-1,
        producer_compression_type=COMPRESSION,
        producer_linger=0.005,
        producer_max_batch_size=262_144,
        producer_max_request_size=8_000_000,
        producer_request_timeout=30.0,
        web_enabled=False,
        web_in_thread=False,
        worker_redirect_stdouts=False,
        broker_credentials=_credentials(settings),
    )


def _credentials(settings: KafkaSettings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """SASL and TLS as Faust takes them."""
    options = client_options(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=options["ssl_context"],
        )
    if settings.kafka_security_protocol == "SSL":
        return faust.SSLCredentials(context=options["ssl_context"])
    return None


class FaustStopped(SentryMLError):
    """Faust has stopped; the process has to be restarted."""


async def run_app(
    stream: FaustInput,
    processor: Processor,
    housekeeping: Housekeeping,
    deleted: Mapping[str, float],
    health: Health,
    stall_seconds: float,
) -> None:
    """Run the Faust application until cancelled; raise when it stops or makes no progress. `deleted` says when
    which models were deleted."""
    app = stream.app
    health.waiting("tables", JOINING)
    app.finalize()
    stream.begin()
    started = asyncio.create_task(app.start())
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_watch_life(app, processor, started, health))
            tasks.create_task(_watch_movement(processor, health, stall_seconds))
            tasks.create_task(_forget_the_deleted(processor, housekeeping, deleted))
            tasks.create_task(_purge_now_and_then(processor, housekeeping))
    finally:
        await processor.stop()
        started.cancel()
        await app.stop()


async def _watch_life(app: faust.App, processor: Processor, started: asyncio.Task[None], health: Health) -> None:
    """Say when the tables are ready; raise if Faust has ended, or a table cannot be used."""
    while True:
        if started.done() and started.exception() is not None:
            raise FaustStopped("Faust did not start") from started.exception()
        if app.crashed or app.should_stop:
            raise FaustStopped("Faust has stopped without being asked to") from app.crash_reason
        if app.rebalancing:
            health.waiting("tables", JOINING)
        elif started.done() and (processor.partitions.idle() or await processor.caught_up()):
            if "tables" in health.waiting_for:
                # What is held for good is not to be looked through for garbage, which takes 0.1 s with 10,000 models.
                gc.freeze()
            health.ready("tables")
            health.ready("start")
        await asyncio.sleep(LIFE_SECONDS)


async def _watch_movement(processor: Processor, health: Health, stall_seconds: float) -> None:
    """Say that input waits; raise when none of it is processed."""
    loop, watchdog = asyncio.get_running_loop(), Watchdog(stall_seconds)
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if processor.holds_all():
            lag, places = await processor.lag()
            CONSUMER_LAG.labels(topic=HISTOGRAMS.name, partition="all").set(lag)
            watchdog.check(lag, places, loop.time())
        else:
            watchdog.reset(loop.time())
        watchdog.show(health, loop.time(), system_clock())


async def _forget_the_deleted(processor: Processor, housekeeping: Housekeeping, deleted: Mapping[str, float]) -> None:
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        if deleted and await processor.caught_up():
            await housekeeping.forget(deleted)


async def _purge_now_and_then(processor: Processor, housekeeping: Housekeeping) -> None:
    while True:
        await asyncio.sleep(PURGE_SECONDS)
        if await processor.caught_up():
            await housekeeping.purge()

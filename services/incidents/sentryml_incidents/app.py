"""Wiring: the one place that makes things and puts them together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sentryml_common.clock import system_clock
from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import M
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.contracts.topics import (
    ACTIVITY,
    API_KEY_USAGE,
    DEAD_LETTERS,
    DELIVERIES,
    EVALUATIONS,
    PREDICTIONS,
    Topic,
)
from sentryml_common.errors import EXIT_CONFIGURATION, ConfigurationError, leave
from sentryml_common.health import Health
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.logging import get_logger
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.relay import Relay
from sentryml_common.service import Service, run
from sentryml_common.settings import load_settings_or_exit
from sentryml_incidents.asgi import create_app
from sentryml_incidents.cli.first_admin import make_first_admin
from sentryml_incidents.clients.drift import Processors
from sentryml_incidents.clients.http_client import make_client
from sentryml_incidents.clients.ingest import Ingest
from sentryml_incidents.clients.notifier import Notifier
from sentryml_incidents.consumers.api_key_usage import KeyUsageConsumer
from sentryml_incidents.consumers.dead_letters import DeadLetterConsumer
from sentryml_incidents.consumers.deliveries import DeliveryConsumer
from sentryml_incidents.consumers.evaluations import ActivityConsumer, EvaluationConsumer
from sentryml_incidents.domain.system.links import link_warning
from sentryml_incidents.outboxes import METRICS, outboxes
from sentryml_incidents.settings import SCHEMA, IncidentsSettings
from sentryml_incidents.streaming.hub import Hub
from sentryml_incidents.timer import Timer
from sentryml_incidents.usecases.context import Context, KafkaAddress

log = get_logger(__name__)

GROUP = "sentryml.incidents"


def main() -> None:
    """Run the service until a signal."""
    settings, health = load_settings_or_exit(IncidentsSettings), Health()
    hub = Hub(settings.public_url)
    context = Context(
        settings.public_url,
        hub=hub,
        ingest_url=settings.ingest_url,
        kafka=KafkaAddress(settings.kafka_bootstrap, settings.prefixed(PREDICTIONS.name)),
        stalled_after=timedelta(seconds=settings.stalled_after_seconds),
    )

    if (warning := link_warning(settings.public_url)) is not None:
        health.details("warnings", {"SENTRYML_PUBLIC_URL": warning})

    async def work() -> None:
        """PostgreSQL first: API and pages work without Kafka."""
        if warning is not None:
            log.warning("links_lead_to_the_readers_machine", why=warning)
        async with open_pool(settings, SCHEMA, health) as pool, make_client() as client:
            await migrate(pool, SCHEMA, read_migrations(__package__))
            await make_first_admin(pool, settings, system_clock())
            context.pool = pool
            context.processors = Processors(settings.processors, settings.internal_secret, client)
            context.notifier = Notifier(settings.notifier_url.rstrip("/"), settings.internal_secret, client)
            context.ingest = Ingest(settings.ingest_internal_url or settings.ingest_url, client)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(Timer(pool, settings.evaluation_keep_days).run(), name="timer")
                tasks.create_task(
                    context.key_usage.publish_forever(KeyUsageConsumer(pool).take_all), name="own-key-usage"
                )
                tasks.create_task(hub.run(pool), name="hub")
                tasks.create_task(_speak_kafka(settings, health, pool), name="kafka")

    try:
        http = create_app(context, settings.internal_secret)
    except ConfigurationError as err:
        leave(EXIT_CONFIGURATION, str(err))
    run(Service("sentryml_incidents", settings, http, health, work, before_stop=hub.close))


async def _speak_kafka(settings: IncidentsSettings, health: Health, pool: Pool) -> None:
    await ensure_topics(settings, health)
    new_models = MonitorSettings(enabled=settings.monitor_new_models)
    async with open_publisher(settings, health) as publisher, asyncio.TaskGroup() as tasks:
        letters = DeadLetters("incidents", publisher)

        def read(name: str, topic: Topic, contract: type[M], take_all: Callable[[list[M]], Awaitable[object]]) -> None:
            consumer = BatchConsumer(topic, contract, f"{GROUP}.{name}", take_all, letters)
            tasks.create_task(consumer.run(settings, health), name=name)
            tasks.create_task(consumer.watch(settings, health), name=f"{name}-owners")

        read("evaluations", EVALUATIONS, Evaluation, EvaluationConsumer(pool, new_models).take_all)
        read("activity", ACTIVITY, Activity, ActivityConsumer(pool, new_models).take_all)
        read("deliveries", DELIVERIES, Delivery, DeliveryConsumer(pool).take_all)
        read("api-key-usage", API_KEY_USAGE, ApiKeyUsage, KeyUsageConsumer(pool).take_all)
        read("dead-letters", DEAD_LETTERS, DeadLetter, DeadLetterConsumer(pool, settings.topic_prefix).take_all)
        relay = Relay(pool, publisher, outboxes(settings.public_url), METRICS, health)
        tasks.create_task(relay.run(), name="relay")
        health.ready("start")

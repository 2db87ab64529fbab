"""The notifier's wiring: the only place where its parts are made and joined.

Dispatching needs PostgreSQL alone: what is already in the ledger leaves while Kafka is away.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.topics import API_KEYS, DEAD_LETTERS, TRANSITIONS
from sentryml_common.contracts.transition import Transition
from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.http.access import Gatekeeper
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.depth import watch_depth
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.key_usage import KeyUsage, publish_usage
from sentryml_common.logging import get_logger
from sentryml_common.metrics import kafka_answered_at
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.relay import Relay
from sentryml_common.service import Service, run
from sentryml_common.settings import load_settings_or_exit
from sentryml_notifier import incidents
from sentryml_notifier.channel_registry import ChannelRegistry, renew_secrets
from sentryml_notifier.channels.apprise import sender
from sentryml_notifier.channels.base import ChannelMisconfigured, Tools
from sentryml_notifier.channels.outbound import make_client, make_tls
from sentryml_notifier.channels.posting import CA_SETTING
from sentryml_notifier.consumer import GROUP, Inbox
from sentryml_notifier.delivery.auditor import audit
from sentryml_notifier.delivery.dispatcher import Dispatcher, Pace
from sentryml_notifier.delivery.reminders import keep_reminding
from sentryml_notifier.delivery.resender import Resender
from sentryml_notifier.delivery.weekly import WeeklySender
from sentryml_notifier.http.api import create_app
from sentryml_notifier.http.context import Context
from sentryml_notifier.http.slack_actions import Interactions, interaction_routes
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.metrics import DEAD_LETTERS as DEAD_LETTERS_DEPTH
from sentryml_notifier.relay import METRICS, outboxes
from sentryml_notifier.secrets import SecretBox
from sentryml_notifier.settings import NotifierSettings
from sentryml_notifier.settings_channels import RESERVED_NAMES, enter_settings_channels
from sentryml_notifier.slack.interactions import SlackInteractions
from sentryml_notifier.slack.socket_mode import SocketMode
from sentryml_notifier.slack.thread_updater import ThreadUpdater
from sentryml_notifier.system_alerts.commits import CommitWatch
from sentryml_notifier.system_alerts.heartbeat import Heartbeat, read_address
from sentryml_notifier.system_alerts.sender import SystemSender
from sentryml_notifier.system_alerts.watch import SystemWatch

log = get_logger(__name__)

NAME = "notifier"


@dataclass(frozen=True, slots=True)
class Parts:
    """What exists from the first moment, before any server has answered."""

    settings: NotifierSettings
    health: Health
    context: Context
    api_keys: Follower[ApiKey]
    key_usage: KeyUsage
    interactions: Interactions
    commits: CommitWatch = field(default_factory=lambda: CommitWatch(system_clock))


def main() -> None:
    """Entry point: run until SIGTERM."""
    settings = load_settings_or_exit(NotifierSettings)
    api_keys, usage = Follower(API_KEYS, ApiKey), KeyUsage(NAME)
    gatekeeper = Gatekeeper(api_keys, Scope.READ, system_clock, usage)
    context = Context(gatekeeper, system_clock, uuid4, RESERVED_NAMES, internal_secret=settings.internal_secret)
    interactions = Interactions(system_clock)
    parts = Parts(settings, Health(), context, api_keys, usage, interactions)
    http = create_app(context)
    http.include_router(interaction_routes(interactions))
    run(Service(NAME, settings, http, parts.health, lambda: work(parts)))


async def work(parts: Parts) -> None:
    """Open PostgreSQL and the channels, then dispatch, consume and audit until cancelled."""
    settings, health, context = parts.settings, parts.health, parts.context
    context.secret_box = SecretBox(settings.all_secrets_keys)
    heartbeat_url = read_address(settings)
    async with (
        open_pool(settings, NAME, health) as pool,
        make_client(settings.all_allowed_hosts, tls=read_tls(settings)) as client,
        incidents.make_client() as own,
    ):
        await migrate(pool, NAME, read_migrations("sentryml_notifier"))
        tools = await make_tools(settings, pool, client)
        registry = ChannelRegistry(tools, context.secret_box, await enter_settings_channels(settings, tools))
        renewed = await renew_secrets(tools, context.secret_box)
        if renewed:
            log.info("secrets_encrypted_anew", channels=renewed)
        asked = Incidents(settings.incidents_url, settings.internal_secret, own, system_clock)
        interactions = SlackInteractions(asked)
        parts.interactions.registry, parts.interactions.handler = registry, interactions
        dispatcher = make_dispatcher(settings, pool, registry, health)
        sending = pool, registry, settings.delivery_lease, system_clock, random.random, uuid4
        context.pool, context.registry, context.wake = pool, registry, dispatcher.wake
        heartbeat = Heartbeat(
            heartbeat_url, client, pool, health, system_clock, lambda: context.audit, kafka_answered_at
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run(), name="dispatcher")
            group.create_task(heartbeat.run(), name="heartbeat")
            group.create_task(ThreadUpdater(*sending).run(), name="thread-updater")
            group.create_task(WeeklySender(*sending).run(), name="weekly-summaries")
            group.create_task(Resender(pool, registry, system_clock).run(), name="resender")
            group.create_task(SocketMode(registry, interactions, tools.allowed_hosts).run(), name="socket-mode")
            group.create_task(audit(pool, system_clock, health, context.keep_audit), name="auditor")
            reminding = keep_reminding(pool, system_clock, dispatcher.wake, settings.long_drift_question_days)
            group.create_task(reminding, name="reminders")
            sender = SystemSender(*sending)
            commits = parts.commits
            watch = SystemWatch(
                pool, asked, kafka_answered_at, lambda: commits.stalled_since, sender.wake, system_clock
            )
            group.create_task(watch.run(), name="system-watch")
            group.create_task(sender.run(), name="system-sender")
            group.create_task(consume(parts, pool, dispatcher, heartbeat), name="consumer")


async def make_tools(settings: NotifierSettings, pool: Pool, client: httpx.AsyncClient) -> Tools:
    """What the channels may use."""
    if settings.all_apprise_schemas:
        await load_apprise()
    return Tools(
        pool,
        client,
        system_clock,
        settings.all_allowed_hosts,
        tls=read_tls(settings),
        apprise_schemas=settings.all_apprise_schemas,
        slack_api=settings.slack_api_url,
    )


def make_dispatcher(settings: NotifierSettings, pool: Pool, registry: ChannelRegistry, health: Health) -> Dispatcher:
    """The dispatcher, as eager as the settings say."""
    return Dispatcher(
        pool,
        registry,
        Pace(settings.dispatch_workers, settings.dispatch_poll_seconds, settings.delivery_lease),
        health,
        clock=system_clock,
        jitter=random.random,
        new_id=uuid4,
        grouping=settings.grouping,
    )


async def consume(parts: Parts, pool: Pool, dispatcher: Dispatcher, heartbeat: Heartbeat) -> None:
    """Follow what Kafka says until cancelled. Until Kafka has answered the service is not ready."""
    settings, health = parts.settings, parts.health
    async with open_publisher(settings, health) as publisher:
        await ensure_topics(settings, health)
        inbox = Inbox(pool, dispatcher.wake, system_clock, settings.grouping)
        dead_letters = DeadLetters(NAME, publisher)
        consumer = BatchConsumer(TRANSITIONS, Transition, GROUP, inbox.take_in, dead_letters)
        async with asyncio.TaskGroup() as group:
            group.create_task(parts.api_keys.run(settings, health), name="api-keys")
            group.create_task(parts.key_usage.publish_forever(publish_usage(publisher)), name="api-key-usage")
            group.create_task(Relay(pool, publisher, outboxes(), METRICS, health).run(), name="relay")
            group.create_task(watch_depth(DEAD_LETTERS, DEAD_LETTERS_DEPTH, settings, health), name="dead-letters")
            group.create_task(parts.commits.run(settings, health), name="commits")
            group.create_task(consumer.watch(settings, health), name="owners")
            heartbeat.consumer_idle = consumer.idle_seconds
            health.ready("start")
            await consumer.run(settings, health)


def read_tls(settings: NotifierSettings) -> ssl.SSLContext:
    """Whose certificates are trusted.

    Raises:
        ConfigurationError: the file of the setting cannot be used.
    """
    try:
        return make_tls(Path(settings.ca_file) if settings.ca_file else None)
    except OSError as err:  # ssl.SSLError is one
        raise ConfigurationError(
            f"{CA_SETTING}: {settings.ca_file} is no readable file of certificates: {err}"
        ) from err


async def load_apprise() -> None:
    """Load what takes seconds before anything depends on how long it takes."""
    try:
        await asyncio.to_thread(sender.load)
    except ChannelMisconfigured as err:
        log.warning("apprise_not_available", why=str(err))

"""The notifier's wiring: the only place where its parts are made and joined.

Dispatching needs PostgreSQL alone: what is already in the ledger leaves while Kafka is away.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from fastapi import FastAPI

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import API_KEYS, DEAD_LETTERS, MONITORS, TRANSITIONS
from sentryml_common.contracts.transition import Transition
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.health import Health
from sentryml_common.kafka.consumer import BatchConsumer
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.depth import watch_depth
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.key_usage import KeyUsage, publish_usage
from sentryml_common.logging import get_logger
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.service import Service, load_settings_or_exit, run
from sentryml_notifier.auditor import audit
from sentryml_notifier.channels.base import Tools
from sentryml_notifier.channels.posting import make_client
from sentryml_notifier.consumer import Inbox
from sentryml_notifier.dispatcher import Dispatcher, Pace
from sentryml_notifier.http.auth import ReadAccess
from sentryml_notifier.http.ledger import Ledger, ledger_routes
from sentryml_notifier.metrics import DEAD_LETTERS as DEAD_LETTERS_DEPTH
from sentryml_notifier.roster import Roster, SettingsChannel, renew_secrets
from sentryml_notifier.settings import NotifierSettings
from sentryml_notifier.store.channels import break_channel, list_stored_channels, register_channel, release_waiting
from sentryml_notifier.vault import Vault

log = get_logger(__name__)

NAME = "notifier"
SLACK = "slack"
SLACK_SETTING = "SENTRYML_SLACK_WEBHOOK_URL"


@dataclass(frozen=True, slots=True)
class Parts:
    """What exists from the first moment, before any server has answered."""

    settings: NotifierSettings
    health: Health
    ledger: Ledger
    monitors: Follower[Monitor]
    api_keys: Follower[ApiKey]
    key_usage: KeyUsage


def main() -> None:
    """Entry point: run until SIGTERM."""
    settings = load_settings_or_exit(NotifierSettings)
    api_keys, usage = Follower(API_KEYS, ApiKey), KeyUsage(NAME)
    parts = Parts(settings, Health(), Ledger(), Follower(MONITORS, Monitor), api_keys, usage)
    access = ReadAccess(Gatekeeper(api_keys, Scope.READ, system_clock, usage))
    http = FastAPI(title="SentryML notifier", docs_url="/docs", redoc_url=None)
    http.include_router(ledger_routes(parts.ledger, access))
    run(Service(NAME, settings, http, parts.health, lambda: work(parts)))


async def work(parts: Parts) -> None:
    """Open PostgreSQL and the channels, then dispatch, consume and audit until cancelled."""
    settings, health = parts.settings, parts.health
    vault = Vault(settings.all_secrets_keys)
    async with open_pool(settings, NAME, health) as pool, make_client() as client:
        await migrate(pool, NAME, read_migrations("sentryml_notifier"))
        tools = Tools(pool, client, system_clock, settings.allowed_hosts)
        parts.ledger.pool = pool
        roster = Roster(tools, vault, await enter_settings_channels(settings, tools))
        renewed = await renew_secrets(tools, vault)
        if renewed:
            log.info("secrets_encrypted_anew", channels=renewed)
        dispatcher = Dispatcher(
            pool,
            roster,
            Pace(
                settings.dispatch_workers,
                settings.dispatch_poll_seconds,
                timedelta(seconds=settings.delivery_lease_seconds),
            ),
            health,
            clock=system_clock,
            jitter=random.random,
            new_id=uuid4,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run(), name="dispatcher")
            group.create_task(audit(pool, system_clock, health), name="auditor")
            group.create_task(consume(parts, pool, dispatcher), name="consumer")
            health.ready("start")


async def consume(parts: Parts, pool: Pool, dispatcher: Dispatcher) -> None:
    """Follow what Kafka says until cancelled."""
    settings, health = parts.settings, parts.health
    async with open_publisher(settings, health) as publisher:
        await ensure_topics(settings, health)
        inbox = Inbox(pool, parts.monitors.current, dispatcher.wake, system_clock)
        dead_letters = DeadLetters(NAME, publisher)
        consumer = BatchConsumer(TRANSITIONS, Transition, NAME, inbox.take_in, dead_letters)
        async with asyncio.TaskGroup() as group:
            group.create_task(parts.api_keys.run(settings, health), name="api-keys")
            group.create_task(parts.key_usage.tell(publish_usage(publisher)), name="api-key-usage")
            group.create_task(parts.monitors.run(settings, health), name="monitors")
            group.create_task(watch_depth(DEAD_LETTERS, DEAD_LETTERS_DEPTH, settings, health), name="dead-letters")
            await parts.monitors.caught_up.wait()
            await consumer.run(settings, health)


async def enter_settings_channels(settings: NotifierSettings, tools: Tools) -> dict[str, SettingsChannel]:
    """The channels of the settings, by setting, entered in the ledger; what waited on a mended one is due again.

    Raises:
        ConfigurationError: the webhook's address is not one that secrets may be sent to.
    """
    address = settings.slack_webhook_url
    if address is None:
        await close_channel_without_secret(tools.pool)
        return {}
    pace = {"messages_per_second": settings.slack_messages_per_second}
    given = SettingsChannel(SLACK, "slack_webhook", SLACK_SETTING, "url", address, pace)
    given.check(tools)
    async with transaction(tools.pool) as connection:
        channel_id = await register_channel(
            connection, given.name, given.kind, given.setting, given.fingerprint, given.settings
        )
        released = await release_waiting(connection, channel_id, tools.clock())
    log.info("channel_of_settings", channel=given.name, setting=given.setting, released=released)
    return {given.setting: given}


async def close_channel_without_secret(pool: Pool) -> None:
    """Say that nobody is told by a setting; if there was a channel before, park what waits on it."""
    words = f"{SLACK_SETTING} is not set: set it and restart the notifier. What waits is sent then."
    async with transaction(pool) as connection:
        others = await list_stored_channels(connection)
        known = next((each for each in others if each.secret_setting == SLACK_SETTING), None)
        if known is not None:
            await break_channel(connection, known.channel_id, known.fingerprint, words, retry_at=None)
    if known is not None or not others:
        log.warning("no_channel", why=words)

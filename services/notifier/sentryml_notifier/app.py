"""The notifier's wiring: the only place where its parts are made and joined.

Dispatching needs PostgreSQL alone: what is already in the ledger leaves while Kafka is away.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import API_KEYS, DEAD_LETTERS, MONITORS, TRANSITIONS
from sentryml_common.contracts.transition import Transition
from sentryml_common.errors import ConfigurationError
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
from sentryml_common.relay import Relay
from sentryml_common.service import Service, load_settings_or_exit, run
from sentryml_notifier import incidents
from sentryml_notifier.auditor import audit
from sentryml_notifier.channels import apprise
from sentryml_notifier.channels.base import ChannelMisconfigured, Tools
from sentryml_notifier.channels.outbound import make_client, make_tls
from sentryml_notifier.channels.posting import CA_SETTING
from sentryml_notifier.consumer import Inbox
from sentryml_notifier.dispatcher import Dispatcher, Pace
from sentryml_notifier.http.api import create_app
from sentryml_notifier.http.context import Context
from sentryml_notifier.http.slack_actions import Interactions, interaction_routes
from sentryml_notifier.incidents import Incidents
from sentryml_notifier.keeper import Keeper
from sentryml_notifier.metrics import DEAD_LETTERS as DEAD_LETTERS_DEPTH
from sentryml_notifier.presses import Presses
from sentryml_notifier.relay import METRICS, outboxes
from sentryml_notifier.reminders import keep_reminding
from sentryml_notifier.roster import Roster, SettingsChannel, renew_secrets
from sentryml_notifier.settings import NotifierSettings
from sentryml_notifier.socket_mode import SocketMode
from sentryml_notifier.store.channels import break_channel, list_stored_channels, register_channel, release_waiting
from sentryml_notifier.vault import Vault

log = get_logger(__name__)

NAME = "notifier"
SLACK = "slack"
SLACK_SETTING = "SENTRYML_SLACK_WEBHOOK_URL"
BOT = "slack-bot"
BOT_SETTING = "SENTRYML_SLACK_BOT_TOKEN"


@dataclass(frozen=True, slots=True)
class Parts:
    """What exists from the first moment, before any server has answered."""

    settings: NotifierSettings
    health: Health
    context: Context
    monitors: Follower[Monitor]
    api_keys: Follower[ApiKey]
    key_usage: KeyUsage
    interactions: Interactions


def main() -> None:
    """Entry point: run until SIGTERM."""
    settings = load_settings_or_exit(NotifierSettings)
    api_keys, usage = Follower(API_KEYS, ApiKey), KeyUsage(NAME)
    gatekeeper = Gatekeeper(api_keys, Scope.READ, system_clock, usage)
    context = Context(gatekeeper, system_clock, uuid4, {SLACK: SLACK_SETTING})
    interactions = Interactions(system_clock)
    parts = Parts(settings, Health(), context, Follower(MONITORS, Monitor), api_keys, usage, interactions)
    http = create_app(context)
    http.include_router(interaction_routes(interactions))
    run(Service(NAME, settings, http, parts.health, lambda: work(parts)))


async def work(parts: Parts) -> None:
    """Open PostgreSQL and the channels, then dispatch, consume and audit until cancelled."""
    settings, health, context = parts.settings, parts.health, parts.context
    context.vault = vault = Vault(settings.all_secrets_keys)
    allowed_hosts = settings.all_allowed_hosts
    async with (
        open_pool(settings, NAME, health) as pool,
        make_client(allowed_hosts, tls=read_tls(settings)) as client,
        incidents.make_client() as own,
    ):
        await migrate(pool, NAME, read_migrations("sentryml_notifier"))
        tools = Tools(
            pool,
            client,
            system_clock,
            allowed_hosts,
            tls=read_tls(settings),
            apprise_schemas=settings.all_apprise_schemas,
            slack_api=settings.slack_api_url,
        )
        if tools.apprise_schemas:
            await load_apprise()
        roster = Roster(tools, vault, await enter_settings_channels(settings, tools))
        asked = Incidents(settings.incidents_url, settings.internal_secret, own, system_clock)
        presses = Presses(asked)
        parts.interactions.roster, parts.interactions.presses = roster, presses
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
        lease = timedelta(seconds=settings.delivery_lease_seconds)
        keeper = Keeper(pool, roster, lease, system_clock, random.random, uuid4)
        context.pool, context.roster, context.wake = pool, roster, dispatcher.wake
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run(), name="dispatcher")
            group.create_task(keeper.run(), name="keeper")
            group.create_task(SocketMode(roster, presses, allowed_hosts).run(), name="socket-mode")
            group.create_task(audit(pool, system_clock, health), name="auditor")
            group.create_task(keep_reminding(pool, system_clock, dispatcher.wake), name="reminders")
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
            group.create_task(Relay(pool, publisher, outboxes(), METRICS, health).run(), name="relay")
            group.create_task(watch_depth(DEAD_LETTERS, DEAD_LETTERS_DEPTH, settings, health), name="dead-letters")
            await parts.monitors.caught_up.wait()
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
        await asyncio.to_thread(apprise.load)
    except ChannelMisconfigured as err:
        log.warning("apprise_not_available", why=str(err))


async def enter_settings_channels(settings: NotifierSettings, tools: Tools) -> dict[str, SettingsChannel]:
    """The channels of the settings, by setting, entered in the ledger; what waited on a mended one is due again.

    Raises:
        ConfigurationError: one cannot work, for example a webhook whose address secrets may not be sent to.
    """
    given = {each.setting: each for each in channels_of(settings)}
    for channel in given.values():
        channel.check(tools)
    for channel in given.values():
        async with transaction(tools.pool) as connection:
            channel_id = await register_channel(
                connection, channel.name, channel.kind, channel.setting, channel.fingerprint, channel.settings
            )
            released = await release_waiting(connection, channel_id, tools.clock())
        log.info("channel_of_settings", channel=channel.name, setting=channel.setting, released=released)
    await close_channels_without_secret(tools.pool, given.keys())
    return given


def channels_of(settings: NotifierSettings) -> list[SettingsChannel]:
    """The channels that settings alone make."""
    pace, found = {"messages_per_second": settings.slack_messages_per_second}, []
    if settings.slack_webhook_url is not None:
        found.append(SettingsChannel(SLACK, "slack_webhook", SLACK_SETTING, "url", settings.slack_webhook_url, pace))
    if settings.slack_bot_token is not None:
        more = {"signing_secret": settings.slack_signing_secret, "app_token": settings.slack_app_token}
        found.append(
            SettingsChannel(
                BOT,
                "slack_bot",
                BOT_SETTING,
                "token",
                settings.slack_bot_token,
                {"channel": settings.slack_channel, **pace},
                {name: value for name, value in more.items() if value is not None},
            )
        )
    return found


async def close_channels_without_secret(pool: Pool, given: Collection[str]) -> None:
    """Park what waits on channels of settings that are no longer there; say so if nobody is told at all."""
    async with transaction(pool) as connection:
        stored = await list_stored_channels(connection)
        for channel in stored:
            if channel.secret_setting in (SLACK_SETTING, BOT_SETTING) and channel.secret_setting not in given:
                words = (
                    f"{channel.secret_setting} is not set: set it and restart the notifier. What waits is sent then."
                )
                await break_channel(connection, channel.channel_id, channel.fingerprint, words, retry_at=None)
                log.warning("no_channel", channel=channel.name, why=words)
    if not stored:
        log.warning("no_channel", why=f"neither {SLACK_SETTING} nor {BOT_SETTING} is set: nobody is told")

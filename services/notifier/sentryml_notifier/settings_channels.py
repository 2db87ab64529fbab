"""Channels that settings alone make: zero set-up, and no secret in any database."""

from __future__ import annotations

from collections.abc import Collection

from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.channel_registry import SettingsChannel
from sentryml_notifier.channels.base import Tools
from sentryml_notifier.settings import NotifierSettings
from sentryml_notifier.store.channels import break_channel, list_stored_channels, register_channel, release_waiting

log = get_logger(__name__)

SLACK = "slack"
SLACK_SETTING = "SENTRYML_SLACK_WEBHOOK_URL"
BOT = "slack-bot"
BOT_SETTING = "SENTRYML_SLACK_BOT_TOKEN"
RESERVED_NAMES = {SLACK: SLACK_SETTING, BOT: BOT_SETTING}
"""By name of the channel: the setting that makes it."""


async def enter_settings_channels(settings: NotifierSettings, tools: Tools) -> dict[str, SettingsChannel]:
    """The channels of the settings, by setting, entered in the ledger; what waited on a fixed one is due again.

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
    """Park what waits on channels of settings that no longer exist; log it if nobody is notified at all."""
    async with transaction(pool) as connection:
        stored = await list_stored_channels(connection)
        for channel in stored:
            if channel.secret_setting in (SLACK_SETTING, BOT_SETTING) and channel.secret_setting not in given:
                text = f"{channel.secret_setting} is not set: set it and restart the notifier. What waits is sent then."
                await break_channel(connection, channel.channel_id, channel.fingerprint, text, retry_at=None)
                log.warning("no_channel", channel=channel.name, why=text)
    if not stored:
        log.warning("no_channel", why=f"neither {SLACK_SETTING} nor {BOT_SETTING} is set: nobody is notified")

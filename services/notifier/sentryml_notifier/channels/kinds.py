"""The kinds of channels there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentryml_notifier.channels.alertmanager.sender import KIND as ALERTMANAGER
from sentryml_notifier.channels.apprise.sender import KIND as APPRISE
from sentryml_notifier.channels.base import Kind
from sentryml_notifier.channels.discord.sender import KIND as DISCORD
from sentryml_notifier.channels.email.sender import KIND as EMAIL
from sentryml_notifier.channels.pagerduty.sender import KIND as PAGERDUTY
from sentryml_notifier.channels.slack_bot.sender import KIND as SLACK_BOT
from sentryml_notifier.channels.slack_webhook.sender import KIND as SLACK_WEBHOOK
from sentryml_notifier.channels.teams.sender import KIND as TEAMS
from sentryml_notifier.channels.webhook.sender import KIND as WEBHOOK

KINDS: Mapping[str, Kind[Any, Any]] = {
    kind.name: kind
    for kind in (SLACK_WEBHOOK, SLACK_BOT, TEAMS, DISCORD, EMAIL, PAGERDUTY, ALERTMANAGER, WEBHOOK, APPRISE)
}

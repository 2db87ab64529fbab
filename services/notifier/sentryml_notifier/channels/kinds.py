"""The kinds of channels there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentryml_notifier.channels import apprise, email, slack_bot, slack_webhook, webhook
from sentryml_notifier.channels.base import Kind

KINDS: Mapping[str, Kind[Any, Any]] = {
    kind.name: kind for kind in (slack_webhook.KIND, slack_bot.KIND, webhook.KIND, email.KIND, apprise.KIND)
}

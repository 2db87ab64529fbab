"""A channel that is one webhook for people: each message is one POST to one address, rich, or plain where that is
refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.posting import Receiver
from sentryml_notifier.domain.delivery import SendResult
from sentryml_notifier.domain.message import Message

Form = Callable[[Message], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class OneWebhook:
    receiver: Receiver
    rich: Form
    plain: Form

    async def send(self, outgoing: Outgoing) -> SendResult:
        form = self.plain if outgoing.plain else self.rich
        return await self.receiver.post(orjson.dumps(form(outgoing.message)))

"""A channel that is one webhook for people: each message is one POST to one address, rich, or plain where that is
refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.posting import Answer, Poster
from sentryml_notifier.domain.delivery import SendResult
from sentryml_notifier.domain.message import Message

Form = Callable[[Message], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class OneWebhook:
    """The channel. `judge` says what an answer means; `fix` says in its texts how to give the channel another
    address."""

    poster: Poster
    address: httpx.URL
    rich: Form
    plain: Form
    judge: Callable[[Answer, str], SendResult]
    fix: str

    async def send(self, outgoing: Outgoing) -> SendResult:
        """Post once."""
        form = self.plain if outgoing.plain else self.rich
        answer = await self.poster.post(self.address, orjson.dumps(form(outgoing.message)), {})
        return self.judge(answer, self.fix) if isinstance(answer, Answer) else answer

"""The dead man's switch: calls an address each minute while alerts reach people. Who watches that address learns of a
notifier that is down, which the notifier itself cannot say.

The address is a secret: who knows it can give the sign in our place. So it is in no log.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.health import Health
from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import Pool, transaction
from sentryml_notifier.channels.answers import check_address
from sentryml_notifier.channels.outbound import TOTAL_SECONDS, Guard, host_of
from sentryml_notifier.domain.system_alerts.heartbeat import Observed, why_withheld
from sentryml_notifier.metrics import HEARTBEATS
from sentryml_notifier.settings import NotifierSettings
from sentryml_notifier.store.audit import Audit
from sentryml_notifier.store.system_alerts import are_all_broken

log = get_logger(__name__)

SETTING = "SENTRYML_HEARTBEAT_URL"
SENT, FAILED, WITHHELD = "sent", "failed", "withheld"
PAUSE_SECONDS = {SENT: 60.0, FAILED: 15.0, WITHHELD: 1.0}
"""Until the next call is due."""


def read_address(settings: NotifierSettings) -> httpx.URL | None:
    """The address to call; None if there is none.

    Raises:
        ConfigurationError: it cannot be called.
    """
    address = settings.heartbeat_url.get_secret_value().strip() if settings.heartbeat_url else ""
    if not address:
        return None
    return check_address(address, Guard(settings.all_allowed_hosts), SETTING)


@dataclass
class Heartbeat:
    """Calls `url`, if it is given; any number of notifiers may. `audit` is the last one of the ledger, `consumer_idle`
    for how many seconds transitions have not been taken in. What it did last is on `/readyz`, if it is nothing good."""

    url: httpx.URL | None
    client: httpx.AsyncClient
    pool: Pool
    health: Health
    clock: Clock
    audit: Callable[[], Audit | None]
    kafka_answered_at: Callable[[], datetime | None]
    consumer_idle: Callable[[], float] = lambda: math.inf

    async def run(self) -> None:
        """Call until cancelled; for ever nothing, where there is no address."""
        while self.url is not None:
            outcome = await self.beat(self.url)
            await asyncio.sleep(PAUSE_SECONDS[outcome])

    async def beat(self, url: httpx.URL) -> str:
        """Call once, or withhold the call; what became of it."""
        outcome, why = WITHHELD, await self._why_withheld()
        if why is None:
            why = await self._call(url)
            outcome = FAILED if why else SENT
        HEARTBEATS.labels(outcome=outcome).inc()
        details = {outcome: why} if why else {}
        is_new = details != self.health.all_details.get("heartbeat", {}) and "start" not in self.health.waiting_for
        if details and is_new:
            log.warning("heartbeat_not_sent", outcome=outcome, host=host_of(url), why=why)
        self.health.details("heartbeat", details)
        return outcome

    async def _why_withheld(self) -> str | None:
        audit = self.audit()
        try:
            async with transaction(self.pool) as connection:
                all_broken = await are_all_broken(connection)
        except Unavailable as err:
            return str(err)
        observed = Observed(
            waiting_for=self.health.waiting_for,
            kafka_answered_at=self.kafka_answered_at(),
            consumer_idle_seconds=self.consumer_idle(),
            audited_at=audit.at if audit else None,
            found=audit.findings[0].fault.value if audit and audit.findings else None,
            all_broken=all_broken,
        )
        return why_withheld(observed, self.clock())

    async def _call(self, url: httpx.URL) -> str | None:
        """Why a call failed; None if it was accepted. Of the answer nothing is read but its status."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS), self.client.stream("GET", url) as response:
                return None if response.is_success else f"the answer was {response.status_code}"
        except (TimeoutError, httpx.TimeoutException):
            return f"no answer within {TOTAL_SECONDS:g} s"
        except httpx.TransportError as err:
            return str(err) or type(err).__name__

"""Prometheus Alertmanager by `POST /api/v2/alerts`: alerts that its own routes, silences and receivers take up.

It answers 200 when it has the alerts, 400 when one of them is malformed. Alerts differ by their labels, so to
send one again does no harm; while an incident is live that is done on purpose (`resend`), as Prometheus does: what is
not sent again within its `resolve_timeout` (5 min by default) it takes for over. Several that form a cluster all get
every alert (prometheus.io/docs/alerting/latest/alertmanager/#high-availability); one of them is enough.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

import orjson
from pydantic import Field, SecretStr, StringConstraints

from sentryml_common.clock import Clock
from sentryml_notifier.channels.alertmanager.alerts import Alert, alerts_of, trial_alerts
from sentryml_notifier.channels.answers import check_address, judge_usual, message_refused
from sentryml_notifier.channels.base import ChannelMisconfigured, Config, Identity, Kind, Outgoing, Resent, Tools
from sentryml_notifier.channels.posting import Answer, Receiver
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message import compose

WHO = "Alertmanager"
PATH = "/api/v2/alerts"
ADDRESSES_MAX, LABELS_MAX = 5, 20
OURS = frozenset({"alertname", "model", "severity", "incident"})

Url = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*=[^\s]{1,200}$")]


class AlertmanagerSettings(Config):
    """Where it is, which labels alerts have besides, and how often live ones are sent again."""

    urls: tuple[Url, ...] = Field(
        min_length=1,
        max_length=ADDRESSES_MAX,
        title="Addresses",
        description="of all replicas, with spaces between; without /api/v2",
        examples=[["http://alertmanager.monitoring:9093"]],
    )
    labels: tuple[Label, ...] = Field(
        (),
        max_length=LABELS_MAX,
        title="More labels",
        description="for every alert, such as team=ml, with spaces between",
        examples=[["team=ml"]],
    )
    resend_seconds: int = Field(
        60,
        ge=10,
        le=240,
        title="Send again every (seconds)",
        description="while an incident is live; well below Alertmanager's resolve_timeout of 5 minutes",
    )


class AlertmanagerSecret(Config):
    """How to sign in, where that is asked for: user and password, or a token."""

    user: str | None = Field(None, max_length=200, title="User", description="where it asks for one")
    password: SecretStr | None = Field(None, title="Password")
    token: SecretStr | None = Field(None, title="Bearer token", description="instead of user and password")


@dataclass
class Alertmanager:
    """A channel that is one Alertmanager, or the replicas of one."""

    clock: Clock
    replicas: Sequence[Receiver]
    headers: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str]
    resend_after: timedelta

    async def send(self, outgoing: Outgoing) -> SendResult:
        """Post once, to all replicas."""
        if outgoing.test:
            return await self._post(trial_alerts(outgoing.message, self.clock(), self.labels))
        return await self._post(alerts_of(outgoing.story, outgoing.message, outgoing.group_id, self.labels))

    async def resend(self, incidents: Sequence[Resent], *, ended: bool) -> SendResult:
        """Post the alerts of incidents as they are; with `ended` also those that are over."""
        alerts = [
            alert
            for each in incidents
            for alert in alerts_of(each.story, compose(each.story), each.group_id, self.labels, ended=ended)
        ]
        return await self._post(alerts)

    async def _post(self, alerts: Sequence[Alert]) -> SendResult:
        body = orjson.dumps(alerts)
        results = await asyncio.gather(*(each.post(body, self.headers) for each in self.replicas))
        taken = [result for result in results if result.outcome is Outcome.DELIVERED]
        return taken[0] if taken else results[0]


def open_alertmanager(
    tools: Tools, identity: Identity, settings: AlertmanagerSettings, secret: AlertmanagerSecret
) -> Alertmanager:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: an address is not one that may be sent to, or labels or secrets contradict each other.
    """
    labels = dict(label.split("=", 1) for label in settings.labels)
    if taken := sorted(OURS.intersection(labels)):
        raise ChannelMisconfigured(f"the label {taken[0]} is set by SentryML: choose another name")
    addresses = [check_address(url, tools.guard) for url in settings.urls]
    replicas = [
        tools.receiver(WHO, each.copy_with(path=f"{each.path.rstrip('/')}{PATH}"), judge, identity)
        for each in addresses
    ]
    resend_after = timedelta(seconds=settings.resend_seconds)
    return Alertmanager(tools.clock, replicas, headers_of(secret), labels, resend_after)


def headers_of(secret: AlertmanagerSecret) -> dict[str, str]:
    """How to sign in.

    Raises:
        ChannelMisconfigured: half of it is missing, or there are two ways.
    """
    if (secret.user is None) != (secret.password is None):
        raise ChannelMisconfigured("user and password belong together: enter both, or neither")
    if secret.token is not None and secret.user is not None:
        raise ChannelMisconfigured("either user and password, or a token: leave one of them empty")
    if secret.token is not None:
        return {"Authorization": f"Bearer {_one_line(secret.token)}"}
    if secret.user is None or secret.password is None:
        return {}
    pair = f"{secret.user}:{secret.password.get_secret_value()}".encode("utf-8", "replace")
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _one_line(secret: SecretStr) -> str:
    text = secret.get_secret_value().strip()
    if not text.isascii() or not text.isprintable():
        raise ChannelMisconfigured("a token is printable ASCII")
    return text


KIND = Kind(
    "alertmanager",
    "Prometheus Alertmanager",
    "Your Alertmanager gets an alert for each incident: its routes, silences and receivers apply.",
    AlertmanagerSettings,
    AlertmanagerSecret,
    open_alertmanager,
    for_people=False,
)


def judge(answer: Answer, fix: str) -> SendResult:
    """What Alertmanager's answer means. Nothing of its body is passed on."""
    if answer.status == 400:
        return message_refused(answer, WHO)
    return judge_usual(answer, WHO, fix)

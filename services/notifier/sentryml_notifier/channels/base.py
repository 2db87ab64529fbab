"""What every kind of channel is: how it is configured, and one attempt to send with an honest account of it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID, uuid5

import httpx
from pydantic import BaseModel, ConfigDict, Field

from sentryml_common.clock import Clock
from sentryml_common.errors import ConfigurationError
from sentryml_common.postgres.pool import Pool
from sentryml_notifier.channels.outbound import TOTAL_SECONDS, Guard, Resolve, usual_tls
from sentryml_notifier.channels.posting import ANSWER_BYTES_MAX, Answer, Poster, Receiver
from sentryml_notifier.channels.resolving import resolve_by_system
from sentryml_notifier.domain.delivery import SendResult
from sentryml_notifier.domain.message import Message
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.domain.system_alerts.rules import SystemAlert
from sentryml_notifier.domain.thread import Conversation

SLACK_API = "https://slack.com/api/"


class ChannelMisconfigured(ConfigurationError):
    """What a channel was given cannot work; the message says what to change, and shows no secret."""


class Config(BaseModel):
    """Part of a channel's configuration. What is not known is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @property
    def rate(self) -> Rate:
        """How fast such a channel sends; nobody is flooded, whatever comes."""
        return Rate(per_second=10.0, burst=20)


class Paced(Config):
    """Settings of kinds whose other side accepts a limited number of messages a second. The defaults are Slack's."""

    messages_per_second: float = Field(
        1.0, gt=0, le=1000, title="Messages per second", description="Slack accepts about one"
    )
    burst: int = Field(3, ge=1, le=1000, title="Burst", description="messages that may be sent at once after a pause")

    @property
    def rate(self) -> Rate:
        """As it is set."""
        return Rate(self.messages_per_second, self.burst)


class Nothing(Config):
    """For kinds that have no settings, or no secret."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a channel is asked to send: the message, and what it was made from.

    `send_id` is new for each attempt; `delivery_ids` stay the same, so that a reader can recognise a duplicate: the
    last is the delivery of the transition that the message is about. `possibly_sent` says that an earlier attempt may
    have arrived, `plain` asks for the simplest form that the other side takes. `test` says that nothing has happened:
    it only shows that messages arrive, and its story is made up. `conversation` is the thread that it belongs to, for
    channels that hold conversations, and `thread_id` whose that is: None for the incident's.

    `system` says that it is about SentryML itself, by a fault of it; then, too, the story is made up, of no incident.

    `group_id` is the alert group of the incident; `of_group` says that the message is about several incidents of it, of
    which `story` is the worst. `of_no_incident` says that it is a summary: its story is made up, as that of a test, and
    it belongs to no thread.
    """

    message: Message
    story: Story
    send_id: UUID
    delivery_ids: tuple[UUID, ...]
    possibly_sent: bool = False
    plain: bool = False
    test: bool = False
    conversation: Conversation | None = None
    group_id: UUID | None = None
    thread_id: UUID | None = None
    of_group: bool = False
    system: SystemAlert | None = None
    of_no_incident: bool = False

    @property
    def of_incident(self) -> bool:
        """Whether it is about an incident at all."""
        return not self.test and not self.of_no_incident and self.system is None

    @property
    def subject_id(self) -> UUID:
        """What the message's thread is about: an incident or a group."""
        return self.thread_id or self.story.last.incident_id

    @property
    def message_id(self) -> UUID:
        """The same for each attempt at the same message, by which a reader can recognise a duplicate."""
        if not self.of_group:
            return self.delivery_ids[-1]
        return uuid5(self.subject_id, " ".join(sorted(map(str, self.delivery_ids))))


class Channel(Protocol):
    """A place that messages go to.

    `send` makes one attempt within a bounded time, never raises for what the other side does, and never waits to
    try again: what happens next is decided elsewhere.
    """

    async def send(self, outgoing: Outgoing) -> SendResult:
        """Try once."""


@dataclass(frozen=True, slots=True)
class Resent:
    """An incident as a channel has it, to be sent there again; `group_id` is its alert group there."""

    story: Story
    group_id: UUID | None


@runtime_checkable
class Resending(Protocol):
    """A channel whose other side takes an incident for over unless it is sent again after `resend_after`.

    `resend` makes one attempt, as `Channel.send` does; with `ended` it says of incidents that are over that they are.
    """

    resend_after: timedelta

    async def resend(self, incidents: Sequence[Resent], *, ended: bool) -> SendResult:
        """Send incidents again."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What channels may use: over HTTP only `client` leads out of here, else only addresses that `guard` gives.

    `allowed_hosts` are those that the operator has allowed, as `host:port`. `send_seconds` is the longest time for one
    attempt. `tls` says whose certificates are trusted where `client` is not used, `slack_api` where Slack's Web API is.
    """

    pool: Pool
    client: httpx.AsyncClient
    clock: Clock
    allowed_hosts: frozenset[str]
    send_seconds: float = TOTAL_SECONDS
    resolve: Resolve = resolve_by_system
    tls: ssl.SSLContext = field(default_factory=usual_tls)
    apprise_schemas: frozenset[str] = frozenset()
    slack_api: str = SLACK_API

    @property
    def guard(self) -> Guard:
        """Checks where a connection may go."""
        return Guard(self.allowed_hosts, self.resolve)

    def poster(self, who: str, answer_bytes: int = ANSWER_BYTES_MAX) -> Poster:
        """What posts to a party, called `who` in texts for people."""
        return Poster(self.client, who, self.clock, self.send_seconds, answer_bytes)

    def receiver(
        self, who: str, address: httpx.URL, judge: Callable[[Answer, str], SendResult], identity: Identity
    ) -> Receiver:
        """The one address of a channel's other side, and what its answers mean."""
        return Receiver(self.poster(who), address, judge, identity.fix)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which channel it is, and where its secret is kept: in this setting, or, if None, in the ledger."""

    channel_id: UUID
    name: str
    secret_setting: str | None = None

    @property
    def fix(self) -> str:
        """How to give the channel another secret: the end of a sentence."""
        if self.secret_setting is not None:
            return f"put it into {self.secret_setting} and restart the notifier"
        return f"enter it for the channel {self.name}, on its page (Alerts) or by PATCH /v1/channels/{self.channel_id}"


HIDDEN = "****"

S = TypeVar("S", bound=Config)
T = TypeVar("T", bound=Config)


@dataclass(frozen=True, slots=True)
class Kind(Generic[S, T]):
    """A kind of channel: what people call it, what it is good for, its settings, what of them is secret, how it is
    opened, what it can do, and whether people read it: then alerts that come together are sent together.

    Forms are made from `settings` and `secret`: the title, description and first example of each field are its label,
    help and placeholder. `open` raises ChannelMisconfigured; it makes no connection. `hint` is what may be shown of a
    secret.
    """

    name: str
    title: str
    help: str
    settings: type[S]
    secret: type[T]
    open: Callable[[Tools, Identity, S, T], Channel]
    hint: Callable[[T], str] = lambda _: HIDDEN
    threads: bool = False
    edits: bool = False
    buttons: bool = False
    for_people: bool = True

    def opened(self, tools: Tools, identity: Identity, settings: Any, secret: Any) -> Channel:
        """The channel of an unchecked configuration.

        Raises:
            ChannelMisconfigured: it does not fit.
            ValidationError: nor does its form.
        """
        return self.open(tools, identity, self.settings.model_validate(settings), self.secret.model_validate(secret))

    def rate(self, settings: Any) -> Rate:
        """How fast such a channel sends.

        Raises:
            ValidationError: the settings' form does not fit.
        """
        return self.settings.model_validate(settings).rate

    def hinted(self, secret: Any) -> str | None:
        """What may be shown of a secret of the right form, to distinguish it from another; None if there is none."""
        return None if self.secret is Nothing else self.hint(self.secret.model_validate(secret))

"""The channels that this process can send on: those of the settings and those of the ledger, opened.

A channel is reopened whenever its configuration changes. One that cannot be opened is broken, with the reason in
words, and what waits on it is parked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from pydantic import SecretStr, ValidationError

from sentryml_common.logging import get_logger
from sentryml_common.postgres.pool import transaction
from sentryml_notifier.channels.base import Channel, ChannelMisconfigured, Identity, Kind, Outgoing, Tools
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.rate_limit import Rate
from sentryml_notifier.secrets import Sealed, SecretBox
from sentryml_notifier.store import channels
from sentryml_notifier.store.channels import StoredChannel

log = get_logger(__name__)


class NotOpened(Exception):
    """A channel cannot be opened; the message says why and what to do, and shows no secret."""


FAILED = SendResult(
    Outcome.UNCERTAIN,
    "defect",
    "SentryML failed while it was sending: a defect of SentryML, see its log. The message may have arrived.",
)


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel as it was configured when it was opened."""

    channel_id: UUID
    name: str
    kind: str
    fingerprint: str
    channel: Channel
    rate: Rate | None = None
    for_people: bool = True

    async def send(self, outgoing: Outgoing) -> SendResult:
        return await self.attempt(self.channel.send(outgoing))

    async def attempt(self, work: Awaitable[SendResult]) -> SendResult:
        """What comes of something that the channel does. A defect of it ends nothing but this attempt."""
        try:
            return await work
        except Exception:
            log.exception("channel_failed", channel=self.name)
            return FAILED


@dataclass(frozen=True, slots=True)
class SettingsChannel:
    """A channel that settings alone make: its secret is in no database. `setting` is the one that holds `value`."""

    name: str
    kind: str
    setting: str
    field: str
    value: SecretStr
    settings: Mapping[str, object] = field_of(default_factory=dict)
    more_secrets: Mapping[str, SecretStr] = field_of(default_factory=dict)

    @property
    def secret(self) -> dict[str, object]:
        """The secret, as the kind wants it."""
        return {key: value.get_secret_value() for key, value in {self.field: self.value, **self.more_secrets}.items()}

    @property
    def fingerprint(self) -> str:
        """Tells a replica that was started with other values from this one."""
        value = self.value.get_secret_value().encode()
        more = [self.settings, {key: each.get_secret_value() for key, each in self.more_secrets.items()}]
        return sha256(value + (orjson.dumps(more, option=orjson.OPT_SORT_KEYS) if any(more) else b"")).hexdigest()

    def check(self, tools: Tools) -> None:
        """Refuse a value that cannot work.

        Raises:
            ChannelMisconfigured: it cannot; the message names the setting.
        """
        try:
            KINDS[self.kind].opened(tools, Identity(UUID(int=0), self.name, self.setting), self.settings, self.secret)
        except ValidationError as err:
            found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in err.errors(include_input=False)]
            raise ChannelMisconfigured(f"{self.setting} and what belongs to it: {'; '.join(found)}") from None


class ChannelRegistry:
    """Opens channels, and keeps them as long as their configuration stays the same."""

    def __init__(self, tools: Tools, secret_box: SecretBox, from_settings: Mapping[str, SettingsChannel]) -> None:
        self._tools, self._secret_box, self._from_settings = tools, secret_box, from_settings
        self._open: dict[UUID, OpenChannel] = {}
        self._refused: dict[UUID, str] = {}
        self.changed = asyncio.Event()
        """Set by who has changed a channel: it is to be read again now."""

    @property
    def opened(self) -> Mapping[UUID, OpenChannel]:
        """The channels as they were read last."""
        return self._open

    async def read(self) -> Mapping[UUID, OpenChannel]:
        """The channels as they are configured now; one that has not changed is the same object as before.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        self.changed.clear()
        async with transaction(self._tools.pool) as connection:
            stored = await channels.list_stored_channels(connection)
        ours = [each for each in stored if self._is_ours(each)]
        self._open = {each.channel_id: found for each in ours if (found := await self._kept_or_opened(each))}
        return self._open

    def check(self, kind: Kind[Any, Any], identity: Identity, settings: Any, secret: Any) -> None:
        """Refuse a configuration that cannot work.

        Raises:
            ChannelMisconfigured: it cannot; the message says what to change.
        """
        kind.opened(self._tools, identity, settings, secret)

    def is_from_settings(self, stored: StoredChannel) -> bool:
        """Whether a setting that we were started with makes it."""
        return stored.secret_setting in self._from_settings

    def _is_ours(self, stored: StoredChannel) -> bool:
        """Not one whose secret is in a setting that we were started without, or with another value of."""
        if stored.secret_setting is None:
            return True
        given = self._from_settings.get(stored.secret_setting)
        return given is not None and given.fingerprint == stored.fingerprint

    async def _kept_or_opened(self, stored: StoredChannel) -> OpenChannel | None:
        known = self._open.get(stored.channel_id)
        if known is not None and (known.fingerprint, known.name) == (stored.fingerprint, stored.name):
            return known
        try:
            opened = self.open_as(stored)
        except NotOpened as err:
            await self._refuse(stored, str(err))
            return None
        log.info("channel_opened", channel=stored.name, kind=stored.kind)
        return opened

    def open_as(self, stored: StoredChannel) -> OpenChannel:
        """A channel opened as it is stored; nobody else uses it.

        Raises:
            NotOpened: it cannot be; the message says what to do.
        """
        if not self._is_ours(stored):
            raise NotOpened(
                f"This notifier was started without {stored.secret_setting}, or with another value: restart it."
            )
        try:
            return self._opened(stored)
        except (Sealed, ChannelMisconfigured) as err:
            raise NotOpened(str(err)) from None
        except ValidationError as err:
            wrong = ", ".join(".".join(map(str, each["loc"])) for each in err.errors(include_input=False))
            raise NotOpened(f"Its configuration does not fit any more ({wrong}): enter it again.") from None

    def _opened(self, stored: StoredChannel) -> OpenChannel:
        kind = KINDS.get(stored.kind)
        if kind is None:
            raise ChannelMisconfigured(
                f"This notifier knows no channels of the kind {stored.kind}: install a newer one."
            )
        identity = Identity(stored.channel_id, stored.name, stored.secret_setting)
        channel = kind.opened(self._tools, identity, stored.settings, self._secret(stored))
        rate = kind.rate(stored.settings)
        return OpenChannel(
            stored.channel_id, stored.name, stored.kind, stored.fingerprint, channel, rate, kind.for_people
        )

    def _secret(self, stored: StoredChannel) -> dict[str, object]:
        if stored.secret_setting is not None:
            return self._from_settings[stored.secret_setting].secret
        return self._secret_box.open(stored.secret) if stored.secret is not None else {}

    async def _refuse(self, stored: StoredChannel, text: str) -> None:
        if self._refused.get(stored.channel_id) == stored.fingerprint:
            return
        log.warning("channel_not_opened", channel=stored.name, kind=stored.kind, why=text)
        async with transaction(self._tools.pool) as connection:
            await channels.lock_channel(connection, stored.channel_id)
            # Nobody serves it now; who can open it again, after a restart with other settings, tries it at once.
            await channels.break_channel(
                connection, stored.channel_id, stored.fingerprint, text, retry_at=self._tools.clock()
            )
        self._refused[stored.channel_id] = stored.fingerprint


async def renew_secrets(tools: Tools, secret_box: SecretBox) -> int:
    """Re-encrypt what is not encrypted with the newest key; return how many. What no key opens stays as it is.

    Raises:
        Unavailable: PostgreSQL is away.
    """
    renewed = 0
    async with transaction(tools.pool) as connection:
        for stored in await channels.list_stored_channels(connection):
            if stored.secret is None or secret_box.is_newest(stored.secret):
                continue
            try:
                sealed = secret_box.seal(secret_box.open(stored.secret))
            except Sealed:
                continue
            renewed += await channels.replace_secret(connection, stored.channel_id, stored.secret, sealed)
    return renewed

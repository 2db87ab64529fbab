"""What happens to a request: who sends it, what it holds, whether that counts, and that Kafka has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from starlette.types import Receive

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import BadField, InvalidEvents, TooManyEvents
from sentryml_common.errors import RecordTooLarge, UndecodableMessage
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.bodies import read_body
from sentryml_common.http.problems import unavailable
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.domain.admission import TimeLimits, admit
from sentryml_ingest.domain.body_forms import Form, items_of, read_form
from sentryml_ingest.domain.idempotency import BadIdempotencyKey, request_id_of
from sentryml_ingest.domain.key_limits import KeyLimits, LimitReached
from sentryml_ingest.domain.lenient import LenientReading
from sentryml_ingest.http.auth import check_models
from sentryml_ingest.http.content import Headers, content_of, read_packed
from sentryml_ingest.http.refusals import (
    bad_idempotency_key,
    invalid,
    invalid_events,
    limit_reached,
    too_large,
    too_many,
    undecodable,
)
from sentryml_ingest.metrics import EVENTS_ACCEPTED, EVENTS_REFUSED
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings

RECORD_BYTES_MAX = 1_000_000
"""What one Kafka record may hold, just below the brokers' default: Kafka refuses larger ones."""
READ_AT_ONCE = 100
"""Events that are read one by one before other requests have their turn."""


class Taken(NamedTuple):
    """The events of a request that are in Kafka, and those that were left out."""

    accepted: int
    refused: int = 0
    errors: Sequence[BadField] = ()
    lenient: bool = False


@dataclass(slots=True)
class Gateway:
    """What the route needs."""

    settings: IngestSettings
    gatekeeper: Gatekeeper
    monitors: Follower[Monitor]
    limits: KeyLimits
    publisher: EventPublisher
    clock: Clock
    times: TimeLimits = field(init=False)

    def __post_init__(self) -> None:
        # Longest is what counts on arrival in Kafka, which may take as long as publishing may.
        longest = max(0.0, self.settings.longest_window_seconds - self.settings.publish_seconds)
        self.times = TimeLimits(self.settings.future_limit_seconds, longest, self.monitors.current)

    async def take(self, headers: Headers, receive: Receive) -> Taken:
        """Take all events of a request, or none; if it asks for that, the good ones.

        Raises:
            Problem: the request is refused, with a text that says what to do.
            Unavailable: Kafka does not take it.
        """
        key = self.gatekeeper.admit(headers.get(b"authorization", b"").decode("latin-1"))
        if not self.monitors.caught_up.is_set():
            raise unavailable("the monitors are still being read from Kafka: try again in a few seconds")
        request_id = _request_id(key, headers.get(b"idempotency-key"))
        content, most = content_of(headers), self.settings.max_body_bytes
        body = await read_body(receive, most, "a body", ": send fewer events at a time")
        body = read_packed(body, content.encoding, most)
        try:
            if content.lenient:
                record, taken = await self._good_ones(key, body, content.form)
            else:
                record, taken = self._all(key, body, content.form)
        except LimitReached as err:
            raise limit_reached(err) from None
        except TooManyEvents as err:
            raise too_many(err) from None
        except UndecodableMessage as err:
            raise undecodable(err) from None
        except InvalidEvents as err:
            raise invalid(err) from None
        del body  # while Kafka is waited for, requests pile up: memory that is used again soon is in the CPU's cache
        await self._publish(record, taken.accepted, request_id)
        return taken

    def _all(self, key: ApiKey, body: bytes, form: Form) -> tuple[bytes, Taken]:
        """The record of all events of a body."""
        now = self.clock()
        self.limits.take_bytes(key.key_id, len(body), now.timestamp())
        sent = read_form(form, body, most_events=self.settings.max_events)
        sent = admit(sent, now=now, limits=self.times)
        self._check(key, sent.models, len(sent.events), now)
        return sent.record, Taken(len(sent.events))

    async def _good_ones(self, key: ApiKey, body: bytes, form: Form) -> tuple[bytes, Taken]:
        """The record of the good events of a body, of which there must be one."""
        now = self.clock()
        self.limits.take_bytes(key.key_id, len(body), now.timestamp())
        reading = LenientReading(now, self.times)
        for index, item in enumerate(items_of(form, body, most_events=self.settings.max_events)):
            reading.take(index, item)
            if index % READ_AT_ONCE == READ_AT_ONCE - 1:
                await asyncio.sleep(0)
        EVENTS_REFUSED.labels(reason="invalid_events").inc(reading.refused)
        if not reading.accepted:
            raise invalid_events(reading.errors)
        self._check(key, reading.models, reading.accepted, now)
        return reading.record, Taken(reading.accepted, reading.refused, reading.errors, lenient=True)

    def _check(self, key: ApiKey, models: Iterable[str], events: int, now: datetime) -> None:
        """Whether the key may send events of these models, and still some.

        Raises:
            Problem: it has no access to a model.
            LimitReached: it has sent too much.
        """
        check_models(key, models)
        monitors = self.monitors.current
        without_monitor = [model_id for model_id in models if model_id not in monitors]
        self.limits.take_events(key.key_id, events, without_monitor, now.timestamp())

    async def _publish(self, record: bytes, events: int, request_id: bytes | None) -> None:
        if len(record) > RECORD_BYTES_MAX:
            raise too_large(record)
        try:
            await self.publisher.publish(record, events, request_id)
        except RecordTooLarge:  # this Kafka is set to take less
            raise too_large(record) from None
        EVENTS_ACCEPTED.inc(events)


def _request_id(key: ApiKey, idempotency_key: bytes | None) -> bytes | None:
    """The id of a request that may be sent again.

    Raises:
        Problem: its key cannot be used.
    """
    try:
        return None if idempotency_key is None else request_id_of(key.key_id, idempotency_key)
    except BadIdempotencyKey as err:
        raise bad_idempotency_key(err) from None

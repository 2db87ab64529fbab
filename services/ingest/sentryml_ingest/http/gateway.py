"""What happens to a request: who sends it, what it holds, whether that counts, and that Kafka has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import BadField
from sentryml_common.errors import RecordTooLarge
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.problems import unavailable
from sentryml_common.kafka.follower import Follower
from sentryml_ingest.domain.admission import TimeLimits, admit
from sentryml_ingest.domain.body_forms import items_of, read_form
from sentryml_ingest.domain.idempotency import request_id_of
from sentryml_ingest.domain.key_limits import KeyLimits
from sentryml_ingest.domain.lenient import LenientReading
from sentryml_ingest.http.auth import check_models
from sentryml_ingest.http.content import Content, Headers, content_of, read_packed
from sentryml_ingest.http.refusals import invalid_events
from sentryml_ingest.metrics import EVENTS_REFUSED
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings

RECORD_BYTES_MAX = 1_000_000
"""What one Kafka record may hold, just below the brokers' default: Kafka refuses larger ones."""
READ_AT_ONCE = 100
"""Events that are read one by one before other requests have their turn."""


class Opened(NamedTuple):
    """A request whose head has been read: who sends it, how its body is written, and its id if it may be sent again."""

    key: ApiKey
    content: Content
    request_id: bytes | None


class Taken(NamedTuple):
    """The events of a request that Kafka gets, and those that were left out. They are accepted once Kafka has
    acknowledged them."""

    events: int
    acknowledged: asyncio.Future[None]
    refused: int = 0
    errors: Sequence[BadField] = ()


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

    def open(self, headers: Headers) -> Opened:
        """Who sends a request, and what its headers say of its body.

        Raises:
            Problem: it is refused, whatever its body is.
            BadIdempotencyKey: it cannot be used.
        """
        key = self.gatekeeper.admit(headers.get(b"authorization", b"").decode("latin-1"))
        if not self.monitors.caught_up.is_set():
            raise unavailable("the monitors are still being read from Kafka: try again in a few seconds")
        idempotency_key = headers.get(b"idempotency-key")
        request_id = None if idempotency_key is None else request_id_of(key.key_id, idempotency_key)
        return Opened(key, content_of(headers), request_id)

    def take(self, opened: Opened, body: bytes) -> Taken:
        """Give all events of a request to Kafka, or none.

        Raises:
            Problem, or an exception that `refusal` knows: the request is refused.
        """
        key, content, _ = opened
        body = read_packed(body, content.encoding, self.settings.max_body_bytes)
        now = self.clock()
        self.limits.take_bytes(key.key_id, len(body), now.timestamp())
        sent = read_form(content.form, body, most_events=self.settings.max_events)
        sent = admit(sent, now=now, limits=self.times)
        events = len(sent.events)
        self._check(key, sent.models, events, now)
        return Taken(events, self._publish(sent.record, events, opened))

    async def take_good_ones(self, opened: Opened, body: bytes) -> Taken:
        """The same with the good events of a request, of which there must be one."""
        key, content, _ = opened
        body = read_packed(body, content.encoding, self.settings.max_body_bytes)
        now = self.clock()
        self.limits.take_bytes(key.key_id, len(body), now.timestamp())
        reading = LenientReading(now, self.times)
        for index, item in enumerate(items_of(content.form, body, most_events=self.settings.max_events)):
            reading.take(index, item)
            if index % READ_AT_ONCE == READ_AT_ONCE - 1:
                await asyncio.sleep(0)
        EVENTS_REFUSED.labels(reason="invalid_events").inc(reading.refused)
        if not reading.accepted:
            raise invalid_events(reading.errors)
        self._check(key, reading.models, reading.accepted, now)
        acknowledged = self._publish(reading.record, reading.accepted, opened)
        return Taken(reading.accepted, acknowledged, reading.refused, reading.errors)

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

    def _publish(self, record: bytes, events: int, opened: Opened) -> asyncio.Future[None]:
        if len(record) > RECORD_BYTES_MAX:
            raise RecordTooLarge(len(record), "more than Kafka takes by default")
        return self.publisher.publish(record, events, opened.request_id)

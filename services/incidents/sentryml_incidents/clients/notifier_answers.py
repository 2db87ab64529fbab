"""What the notifier answers, as far as pages show it. What is unknown is ignored: it may be newer than this."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sentryml_common.contracts.delivery import Attempt
from sentryml_common.contracts.message import UtcDatetime
from sentryml_common.contracts.transition import Actor
from sentryml_incidents.clients.notifier import NotifierAway

T = TypeVar("T")


class Response(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True)


class ResponsePage(Response, Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class RouteResponse(Response):
    """A route."""

    route_id: UUID
    name: str
    channel_id: UUID
    channel: str
    model_patterns: tuple[str, ...]
    least_severity: str
    kinds: tuple[str, ...]
    enabled: bool
    remind_after_seconds: int | None
    remind_times: int
    version: int


class ChannelResponse(Response):
    """A channel: never its secret, only a hint of it."""

    channel_id: UUID
    name: str
    kind: str
    settings: dict[str, Any]
    secret_setting: str | None
    secret_hint: str | None
    state: str
    broken_words: str | None
    retry_at: datetime | None
    paused_until: datetime | None
    fallback_channel_id: UUID | None
    waiting: int
    parked: int
    oldest_at: datetime | None

    @property
    def broken(self) -> bool:
        """Whether nothing is sent there until somebody fixes it."""
        return self.state == "broken"

    @property
    def of_settings(self) -> bool:
        """Whether a setting makes it, so that it cannot be changed here; one whose setting is gone says so itself."""
        return self.secret_setting is not None


class DeliveryResponse(Response):
    """A transition on its way to a channel."""

    delivery_id: UUID
    transition_id: UUID
    incident_id: UUID
    incident_number: int
    model_id: str
    sequence: int
    kind: str
    reminder: int
    happened_at: UtcDatetime | None = None
    channel: str
    channel_kind: str = ""
    route: str
    state: str
    due_at: UtcDatetime
    parked_because: str | None
    last_words: str | None
    possibly_repeated: bool = False
    created_at: UtcDatetime
    delivered_at: UtcDatetime | None
    attempts: tuple[Attempt, ...]


class ChangeResponse(Response):
    """Who changed what."""

    change_id: int
    at: datetime
    actor: Actor
    action: str
    subject_id: UUID
    subject: str
    words: str


class FindingResponse(Response):
    """What an audit found; of no channel if that is None."""

    channel: str | None
    words: str


class AuditResponse(Response):
    """The last audit."""

    at: datetime
    findings: tuple[FindingResponse, ...]
    alerts_untold: int


class TrialResponse(Response):
    """What became of a test message."""

    delivered: bool
    words: str
    what_next: str


class VerdictResponse(Response):
    """What a route would do."""

    name: str
    channel: str
    taken: bool
    words: str
    channel_broken: str | None


class PreviewResponse(Response):
    """Where an alarm would go."""

    words: str
    assumed: str | None
    routes: tuple[VerdictResponse, ...]


def read_answer(form: type[T], answer: object) -> T:
    """An answer in its form.

    Raises:
        NotifierAway: it has another one.
    """
    try:
        return TypeAdapter(form).validate_python(answer, strict=False)
    except ValidationError as err:
        raise NotifierAway("it answers in another version than this one knows: install the same for both") from err

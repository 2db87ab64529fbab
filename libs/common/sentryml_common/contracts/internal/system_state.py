"""`GET /v1/internal/system-state`, between services: what of SentryML stands still, as far as incidents can tell."""

from __future__ import annotations

from enum import StrEnum

from sentryml_common.contracts.message import Message, Part, UtcDatetime

PATH = "/v1/internal/system-state"


class SystemFault(StrEnum):
    """What of SentryML does not work: a closed set, for the API, the pages and metrics."""

    INPUT_STALLED = "input_stalled"  # predictions are sent, and none is counted
    EVALUATIONS_STALLED = "evaluations_stalled"  # most models are not evaluated
    TRANSITIONS_STALLED = "transitions_stalled"  # steps of incidents do not reach Kafka
    COMMITS_STALLED = "commits_stalled"  # the combiner reads, and commits nothing
    DELIVERIES_STALLED = "deliveries_stalled"  # messages do not leave on a channel
    KAFKA_AWAY = "kafka_away"
    INCIDENTS_AWAY = "incidents_away"


class FoundFault(Part):
    """A fault as it is now: since when, and what is known of it, as a sentence. It is a string, so that an older
    service reads what a newer one finds."""

    fault: str
    since: UtcDatetime
    text: str


class SystemState(Message):
    """Everything that was found at one time."""

    at: UtcDatetime
    found: tuple[FoundFault, ...]

"""The registry of topics: each is declared here, once, and nowhere else.

The number of partitions of the internal topics is fixed for good: chunks and tables depend on it. That of
`predictions.v1` may grow while everything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sentryml_common.contracts.activity import Activity
from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.contracts.api_key_usage import ApiKeyUsage
from sentryml_common.contracts.dead_letter import DeadLetter
from sentryml_common.contracts.delivery import Delivery
from sentryml_common.contracts.evaluation import Evaluation
from sentryml_common.contracts.message import Message
from sentryml_common.contracts.monitor import DAY, Monitor
from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.topic_epoch import TopicEpoch
from sentryml_common.contracts.transition import Transition

HISTOGRAM_PARTITIONS = 4
PROCESSOR_APP = "sentryml.processor"
COMBINER_GROUP = "sentryml.combiner"
"""The beginning of its consumer group's name, which ends with the epoch of the topic: `.epoch-1`."""

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "600000",
    "segment.bytes": "67108864",
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "1800000",
    "delete.retention.ms": "3600000",
}


TIMESTAMP_TYPE = "message.timestamp.type"
BROKER_TIME = {TIMESTAMP_TYPE: "LogAppendTime"}
"""Records get the time of the broker: what counts as late or future depends on no producer's clock."""


LARGE_RECORDS = {"max.message.bytes": "8388608"}
"""A value of the table has up to 150 KB for each partition of `predictions.v1`, which may grow."""


def kept_for(days: int) -> dict[str, str]:
    """The configuration of a topic whose records are deleted after some days."""
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY * 1000)}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: who writes it, who reads it, what a record holds. `contract` is None where that is not
    one JSON message: prediction events (one or an array), and what is packed."""

    name: str
    purpose: str
    key: str
    partitions: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    contract: type[Message] | None
    config: dict[str, str] = field(default_factory=dict)
    grows: bool = False


PREDICTIONS = Topic(
    "sentryml.predictions.v1", "prediction events: one object or an array per record", "any or none", 4,
    ("ingest", "your own producers"), ("drift combiner",), None, kept_for(7) | BROKER_TIME, grows=True,
)  # fmt: skip
HISTOGRAMS = Topic(
    "sentryml.histograms.v1", "packed partial histograms, internal to drift", "crc32(model_id) % partitions",
    HISTOGRAM_PARTITIONS, ("drift combiner",), ("drift processor",), None, kept_for(3),
)  # fmt: skip
REQUEST_IDS = Topic(
    "sentryml.request-ids.v1", "ids of requests by their offsets in predictions.v1, internal to drift",
    "epoch, partition, first and last offset", 4, ("drift combiner",), ("drift combiner",), None, COMPACTED,
)  # fmt: skip
MONITORS = Topic(
    "sentryml.monitors.v1", "the monitor of each model; a tombstone deletes it", "model_id", 1,
    ("incidents",), ("drift processor", "ingest"), Monitor, COMPACTED,
)  # fmt: skip
REFERENCES = Topic(
    "sentryml.references.v1", "the reference of each model; a tombstone deletes it", "model_id", 1,
    ("incidents",), ("drift processor",), Reference, COMPACTED,
)  # fmt: skip
EVALUATIONS = Topic(
    "sentryml.evaluations.v1", "one evaluation of a model: PSI, bins, level", "model_id", 4,
    ("drift processor",), ("incidents",), Evaluation, kept_for(7),
)  # fmt: skip
ACTIVITY = Topic(
    "sentryml.activity.v1", "recent activity of each model; being seen registers a model, a tombstone ends it",
    "model_id", 4,
    ("drift processor",), ("incidents",), Activity, COMPACTED,
)  # fmt: skip
TRANSITIONS = Topic(
    "sentryml.transitions.v1", "each step of each incident", "model_id", 4,
    ("incidents",), ("notifier",), Transition, kept_for(30),
)  # fmt: skip
DELIVERIES = Topic(
    "sentryml.deliveries.v1", "what has become of each alert, by channel; the highest revision holds", "model_id", 4,
    ("notifier",), ("incidents",), Delivery, kept_for(30),
)  # fmt: skip
API_KEYS = Topic(
    "sentryml.api-keys.v1", "API keys by hash, so that ingest runs without a database", "key_id", 1,
    ("incidents",), ("ingest", "notifier"), ApiKey, COMPACTED,
)  # fmt: skip
API_KEY_USAGE = Topic(
    "sentryml.api-key-usage.v1", "when an API key was used, at most once a minute per process", "key_id", 1,
    ("ingest", "notifier"), ("incidents",), ApiKeyUsage, kept_for(7),
)  # fmt: skip
DEAD_LETTERS = Topic(
    "sentryml.deadletters.v1", "coordinates and reason of each record that could not be used", "topic", 1,
    ("drift combiner", "drift processor", "incidents", "notifier"), ("incidents", "people"), DeadLetter, kept_for(14),
)  # fmt: skip
TOPIC_EPOCHS = Topic(
    "sentryml.topic-epochs.v1", "which incarnation of a topic this is", "topic name", 1,
    ("drift combiner", "drift processor"), ("drift combiner", "drift processor"), TopicEpoch, COMPACTED,
)  # fmt: skip
TABLE_CHANGELOG = Topic(
    "sentryml.table-changelog.v1", "changelog of the processor's table, internal to drift", "table key",
    HISTOGRAM_PARTITIONS, ("drift processor",), ("drift processor",), None, COMPACTED | LARGE_RECORDS,
)  # fmt: skip

TOPICS = (
    TOPIC_EPOCHS, PREDICTIONS, REQUEST_IDS, HISTOGRAMS, MONITORS, REFERENCES, EVALUATIONS, ACTIVITY, TRANSITIONS,
    DELIVERIES, API_KEYS, API_KEY_USAGE, DEAD_LETTERS, TABLE_CHANGELOG,
)  # fmt: skip

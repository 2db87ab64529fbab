"""Records that could not be used, in words: what is wrong with them, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is wrong with some records (of one: `one`), and what to do about it."""

    many: str
    one: str
    what_to_do: str


ANOTHER_VERSION = "A service of another version may have written it: run the same version of all services."
UNKNOWN = Meaning("cannot be decoded", "cannot be decoded", ANOTHER_VERSION)

MEANINGS: Mapping[str, Meaning] = {
    "schema_registry_prefix": Meaning(
        "begin with a schema-registry prefix",
        "begins with a schema-registry prefix",
        "Give the producer a plain JSON or string serializer instead of one that registers schemas.",
    ),
    "compressed_value": Meaning(
        "are compressed inside their value",
        "is compressed inside its value",
        "Send JSON, and let the Kafka producer compress (compression.type): that is read.",
    ),
    "binary_value": Meaning(
        "are binary, not JSON",
        "is binary, not JSON",
        "Send JSON: Avro, Protobuf or MessagePack are not read.",
    ),
    "not_json": Meaning(
        "are not JSON", "is not JSON", "Send one JSON object, or an array of them, in each record, in UTF-8."
    ),
    "not_events": Meaning(
        "are JSON, but no events", "is JSON, but no event", "Send an event as an object, or an array of events."
    ),
    "no_events": Meaning("are empty arrays", "is an empty array", "Send no record while there are no events."),
    "invalid_events": Meaning(
        "hold events that are not valid",
        "holds an event that is not valid",
        "An event has model_id and prediction, and may have score, timestamp, version, segment and event_id, nothing "
        "else. One bad event spoils its record.",
    ),
    "record_too_long": Meaning("are too long", "is too long", "Send fewer events in each record."),
    "empty": Meaning("have no value", "has no value", "Send no record without a value to this topic."),
    "breaks_contract": Meaning("do not fit their contract", "does not fit its contract", ANOTHER_VERSION),
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Records of one topic, reason and sender (empty: not known): how many since some times, and the newest: when
    it was dead-lettered, where it is, and what was said of it."""

    topic: str
    reason: str
    sender: str
    recently: int
    in_day: int
    in_all: int
    newest_at: datetime
    partition: int
    offset: int
    detail: str

    @property
    def meaning(self) -> Meaning:
        """What is wrong, and what to do."""
        return MEANINGS.get(self.reason, UNKNOWN)


def in_short(found: Sequence[Unreadable], since: datetime) -> str | None:
    """How many records could not be read of late, and why most of them, in a sentence; None if there are none."""
    by_reason: dict[str, int] = {}
    for each in found:
        by_reason[each.reason] = by_reason.get(each.reason, 0) + each.recently
    total = sum(by_reason.values())
    if not total:
        return None
    reason, count = max(by_reason.items(), key=lambda item: item[1])
    meaning = MEANINGS.get(reason, UNKNOWN)
    if total == 1:
        return f"A record since {since:%H:%M} UTC could not be read: it {meaning.one}."
    which = "all of them" if count == total else f"{count:,} of them"
    what = meaning.one if count == 1 else meaning.many
    return f"{total:,} records since {since:%H:%M} UTC could not be read: {which} {what}."

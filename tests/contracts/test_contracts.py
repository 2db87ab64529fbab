"""The golden messages: each was valid once, so each decodes for ever; each invalid one is refused for its reason.

Examples are only ever added to. A record from last month must be readable by next month's consumer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from sentryml_common.contracts.message import Message, decode, encode
from sentryml_common.contracts.prediction import InvalidEvents, parse_events
from sentryml_common.contracts.topics import (
    HISTOGRAMS,
    PREDICTIONS,
    REQUEST_IDS,
    TABLE_CHANGELOG,
    TOPICS,
    Topic,
)
from sentryml_common.errors import UndecodableMessage
from sentryml_drift.domain.facts import ModelFacts
from sentryml_drift.domain.partials import Kind, Label, Target, pack, unpack_record
from sentryml_drift.domain.repeats import Piece
from sentryml_drift.domain.slices import SliceCounts
from sentryml_statistics.histograms.pane_counts import PaneCounts

EXAMPLES = Path(__file__).parent / "examples"
WITH_CONTRACT = tuple(topic for topic in TOPICS if topic.contract is not None)
FEWEST = 2

# Topics whose records are not one JSON message of a contract, each with what is in its place.
EXEMPT = {
    PREDICTIONS.name: "one event or an array of events: read by parse_events, which is tested here on golden records",
    HISTOGRAMS.name: "packed bytes, for size: golden bytes of one record of partials, below",
    REQUEST_IDS.name: "written and read by the combiner alone: golden bytes of one record, below",
    TABLE_CHANGELOG.name: "written and read by the processor alone; its values are the bytes that HISTOGRAMS carries",
}


def short(topic: Topic) -> str:
    return topic.name.removeprefix("sentryml.").removesuffix(".v1")


def examples(topic: Topic, validity: str) -> list[Path]:
    return sorted((EXAMPLES / short(topic) / "v1" / validity).glob("*.json"))


def each(topics: Sequence[Topic], validity: str) -> list[Any]:
    return [
        pytest.param(topic, path, id=f"{short(topic)}-{path.stem}")
        for topic in topics
        for path in examples(topic, validity)
    ]


def contract_of(topic: Topic) -> type[Message]:
    assert topic.contract is not None
    return topic.contract


def holds(whole: Any, part: Any) -> bool:
    """Whether `whole` has all that `part` has: every field of every object, equal values elsewhere."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(key in whole and holds(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(holds(one, other) for one, other in zip(whole, part, strict=True))
    return bool(whole == part)


@pytest.mark.parametrize("topic", TOPICS, ids=short)
def test_every_topic_says_who_writes_it_who_reads_it_and_what_for(topic: Topic) -> None:
    assert topic.producers
    assert all(topic.producers)
    assert topic.consumers
    assert all(topic.consumers)
    assert topic.purpose
    assert topic.key
    assert topic.partitions >= 1


def test_topics_are_named_alike_and_apart() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"sentryml\.[a-z]+(-[a-z]+)*\.v1", name) for name in names), names


def test_only_the_topics_named_here_have_no_json_contract() -> None:
    assert {topic.name for topic in TOPICS if topic.contract is None} == set(EXEMPT)


@pytest.mark.parametrize("topic", [*WITH_CONTRACT, PREDICTIONS], ids=short)
def test_every_contract_has_examples_of_both_kinds(topic: Topic) -> None:
    assert len(examples(topic, "valid")) >= FEWEST
    assert len(examples(topic, "invalid")) >= FEWEST


def test_every_folder_of_examples_belongs_to_a_topic() -> None:
    folders = {path.name for path in EXAMPLES.iterdir()}
    assert folders == {short(topic) for topic in (*WITH_CONTRACT, PREDICTIONS, REQUEST_IDS, HISTOGRAMS)}


@pytest.mark.parametrize(("topic", "path"), each(WITH_CONTRACT, "valid"))
def test_a_valid_message_decodes_and_encodes_to_the_same(topic: Topic, path: Path) -> None:
    message = decode(contract_of(topic), path.read_bytes())
    again = encode(message)
    assert decode(contract_of(topic), again) == message
    assert holds(orjson.loads(again), orjson.loads(path.read_bytes())), again
    assert orjson.loads(again)["v"] == 1


@pytest.mark.parametrize(("topic", "path"), each(WITH_CONTRACT, "valid"))
def test_consumers_tolerate_fields_of_a_later_producer(topic: Topic, path: Path) -> None:
    known = orjson.loads(path.read_bytes())
    grown = {**known, "a_field_of_next_year": {"nested": [1, None]}}
    assert decode(contract_of(topic), orjson.dumps(grown)) == decode(contract_of(topic), path.read_bytes())


@pytest.mark.parametrize(("topic", "path"), each(WITH_CONTRACT, "invalid"))
def test_an_invalid_message_is_refused_for_its_reason(topic: Topic, path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    with pytest.raises(UndecodableMessage) as refused:
        decode(contract_of(topic), orjson.dumps(example["message"]))
    assert refused.value.reason == "breaks_contract"
    assert example["reason"] in refused.value.detail


@pytest.mark.parametrize("topic", WITH_CONTRACT, ids=short)
@pytest.mark.parametrize(("value", "reason"), [(None, "empty"), (b"", "not_json"), (b"\xff{", "not_json")])
def test_bytes_that_are_no_message_are_refused(topic: Topic, value: bytes | None, reason: str) -> None:
    with pytest.raises(UndecodableMessage) as refused:
        decode(contract_of(topic), value)
    assert refused.value.reason == reason


@pytest.mark.parametrize("path", examples(PREDICTIONS, "valid"), ids=lambda path: path.stem)
def test_valid_events_are_read_as_they_are(path: Path) -> None:
    sent = orjson.loads(path.read_bytes())
    events = parse_events(path.read_bytes())
    for event, fields in zip(events, sent if isinstance(sent, list) else [sent], strict=True):
        assert event.model_dump(exclude={"timestamp"}) == {
            "score": None,
            "event_id": None,
            "version": None,
            "segment": None,
            **{name: value for name, value in fields.items() if name != "timestamp"},
        }
        assert (event.timestamp is not None) == ("timestamp" in fields)
        assert type(event.prediction) is type(fields["prediction"]) or isinstance(event.prediction, float)


@pytest.mark.parametrize("path", examples(PREDICTIONS, "invalid"), ids=lambda path: path.stem)
def test_invalid_events_are_refused_for_their_reason(path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    with pytest.raises((InvalidEvents, UndecodableMessage)) as refused:
        parse_events(orjson.dumps(example["message"]))
    errors = refused.value.errors if isinstance(refused.value, InvalidEvents) else []
    assert example["reason"] in "; ".join([str(refused.value), *(error.for_sender() for error in errors)])


def test_ids_of_requests_are_read_for_ever() -> None:
    value = bytes.fromhex((EXAMPLES / "request-ids" / "v1" / "piece.hex").read_text())
    piece = Piece.of_key(b"1:3:40000:40258")
    entries = [(40_000, bytes(range(16))), (40_258, bytes(range(16, 32)))]
    assert piece == Piece(epoch=1, partition=3, first=40_000, last=40_258)
    assert list(piece.unpack(value)) == entries
    assert (piece.key, piece.pack(entries)) == (b"1:3:40000:40258", value)


@pytest.mark.parametrize("name", ["partials", "partials-cells-2"])
def test_packed_partials_decode_for_ever(name: str) -> None:
    record = bytes.fromhex((EXAMPLES / "histograms" / "v1" / f"{name}.hex").read_text())
    counts, facts = unpack_record(record)

    assert counts.target == Target("flights-delay", Kind.FINE, 29_923_755)
    assert counts.label == Label(source=2, epoch=1, chunk=19, offset=81_734, final=False)
    pane = PaneCounts.unpack(counts.payload)
    assert pane == PaneCounts.of(["late", True, 3, 0.5], [0.25, None, 1, None])
    assert pane.total == 4

    assert facts.target == Target("flights-delay", Kind.FACTS, 0)
    assert facts.label == Label(source=2, epoch=1, chunk=19, offset=81_919, final=True)
    assert ModelFacts.unpack(facts.payload) == ModelFacts(
        first_seen=1_795_425_300.0,
        first_score=1_795_425_300.0,
        last_seen=1_795_425_359.5,
        late=4,
        future=1,
        recent=((1_795_425_359.5, "late", 0.93, "UA1545"),),
    )
    assert record == bytes([1]) + pack(counts) + pack(facts)


def test_packed_partials_of_slices_decode_for_ever() -> None:
    record = bytes.fromhex((EXAMPLES / "histograms" / "v1" / "partials-slices.hex").read_text())
    version, segment = unpack_record(record)

    label = Label(source=2, epoch=1, chunk=19, offset=81_734, final=False)
    assert version[:2] == (Target("flights-delay", Kind.VERSION, 498_729, "2.3"), label)
    assert segment[:2] == (Target("flights-delay", Kind.SEGMENT, 498_729, "日|本"), label)
    counts = SliceCounts(1_795_425_300.5, PaneCounts.of(["late", True, 3, 0.5], [0.25, None, 1, None]))
    assert [SliceCounts.unpack(each.payload) for each in (version, segment)] == [counts, counts]
    assert record == bytes([1]) + pack(version) + pack(segment)

"""Prediction events: whatever is sent, the answer is events, named errors, or that it is not JSON."""

from __future__ import annotations

import math
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import (
    LONGEST_NAME,
    MOST_ERRORS,
    InvalidEvents,
    PredictionEvent,
    TooManyEvents,
    parse_events,
    read_rows,
)
from sentryml_common.errors import UndecodableMessage

FIELDS = tuple(PredictionEvent.model_fields)
LEAST = {"model_id": "flights-delay", "prediction": "late"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=140),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MODEL_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
TIMES = st.integers(0, 253_000_000_000_000_000).map(
    lambda us: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us)
)
SLICE_VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)
GOOD_EVENTS = st.fixed_dictionaries(
    {
        "model_id": MODEL_IDS,
        "prediction": st.text(max_size=128) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    },
    optional={
        "score": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "timestamp": TIMES.map(datetime.isoformat) | st.floats(0, 253_000_000_000),
        "event_id": st.none() | st.text(max_size=64),
        "version": st.none() | SLICE_VALUES,
        "segment": st.none() | SLICE_VALUES,
    },
)


def one(**fields: Any) -> PredictionEvent:
    [event] = parse_events(orjson.dumps({**LEAST, **fields}))
    return event


def refusal(body: Any) -> InvalidEvents:
    with pytest.raises(InvalidEvents) as refused:
        parse_events(body if isinstance(body, bytes) else orjson.dumps(body))
    return refused.value


def why(**fields: Any) -> str:
    [error] = refusal({**LEAST, **fields}).errors
    assert error.index == 0
    assert error.field in fields
    return error.reason


def check(body: bytes) -> None:
    """Read a body of any kind: the outcome is events, named errors, or that it holds no events; nothing else."""
    outcome: Any
    try:
        outcome = parse_events(body)
    except (UndecodableMessage, InvalidEvents) as err:
        outcome = err
    if isinstance(outcome, UndecodableMessage):
        assert outcome.reason in {"not_json", "not_events", "no_events"}
        assert outcome.detail
    elif isinstance(outcome, InvalidEvents):
        assert outcome.errors
        assert all(error.reason and error.index >= 0 for error in outcome.errors)
    else:
        assert outcome
        assert all(isinstance(event.prediction, str | float | bool) for event in outcome)


@given(st.binary(max_size=200))
def test_any_bytes_have_one_of_three_outcomes(body: bytes) -> None:
    check(body)


@given(JSON)
@settings(max_examples=300)
def test_any_json_has_one_of_three_outcomes(value: Any) -> None:
    check(orjson.dumps(value))


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)))
@settings(max_examples=300)
def test_any_value_in_any_known_field_has_one_of_three_outcomes(event: dict[str, Any]) -> None:
    check(orjson.dumps([LEAST, event]))


@given(st.lists(GOOD_EVENTS, min_size=1, max_size=5))
def test_every_event_within_the_contract_is_taken_as_it_is(sent: list[dict[str, Any]]) -> None:
    for event, fields in zip(parse_events(orjson.dumps(sent)), sent, strict=True):
        assert event.model_id == fields["model_id"]
        assert event.prediction == fields["prediction"]
        assert isinstance(event.prediction, type(fields["prediction"]))
        assert event.score == fields.get("score")
        assert event.event_id == fields.get("event_id")
        assert (event.version, event.segment) == (fields.get("version"), fields.get("segment"))
        at = fields.get("timestamp")
        if isinstance(at, str):
            assert event.timestamp == datetime.fromisoformat(at)
        elif at is not None:
            assert event.timestamp is not None
            assert math.isclose(event.timestamp.timestamp(), at, abs_tol=1e-4)


@given(st.text(max_size=20).filter(lambda name: name not in FIELDS), JSON)
def test_an_unknown_field_is_refused_by_name_whatever_it_holds(name: str, value: Any) -> None:
    [error] = refusal({**LEAST, name: value}).errors
    assert (error.index, error.field) == (0, name)
    assert "SentryML takes no feature values" in error.reason


def test_the_name_of_an_unknown_field_is_for_the_sender_and_not_for_the_log() -> None:
    refused = refusal([LEAST, {**LEAST, "jane@example.com": 0.7, "score": "high"}])
    assert [error.for_sender().partition(": ")[0] for error in refused.errors] == [
        "event 1, jane@example.com",
        "event 1, score",
    ]
    assert str(refused) == (
        "event 1: unknown field: SentryML takes no feature values, labels or payloads; remove it; "
        "event 1, score: must be a finite number or null"
    )
    chain = [refused, refused.__cause__, refused.__context__]
    assert not any("jane" in str(error) or "jane" in repr(error) for error in chain)


def test_a_very_long_name_of_a_field_is_shortened() -> None:
    [error] = refusal({**LEAST, "n" * 10_000: 1}).errors
    assert error.field == "n" * (LONGEST_NAME - 1) + "…"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
@pytest.mark.parametrize("field", ["prediction", "score", "timestamp"])
def test_numbers_beyond_the_largest_are_refused(field: str, number: str) -> None:
    known = orjson.dumps(LEAST | {field: 0}).decode()
    body = known.replace(f'"{field}":0', f'"{field}":{number}')
    assert number in body
    with pytest.raises(UndecodableMessage, match="not_json"):
        parse_events(body.encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_by_event_and_field_with_what_to_send(number: str) -> None:
    good = '{"model_id":"m","prediction":1}'
    body = (
        f'[{good},{{"model_id":"m","prediction":1,"score":{number}}},{good},{{"model_id":"m","prediction":{number}}}]'
    )
    assert [error.model_dump() for error in refusal(body.encode()).errors] == [
        {"index": 1, "field": "score", "reason": f"{number} is not JSON: send null"},
        {
            "index": 3,
            "field": "prediction",
            "reason": f"{number} is not JSON: leave the event out, since a prediction cannot be null",
        },
    ]


@pytest.mark.parametrize(
    "body",
    [b'[{"model_id":"m","score":NaN}', b"[" * 100_000 + b"NaN", b'{"score":NaN,"n":' + b"1" * 5_000 + b"}", b'"NaN'],
)
def test_what_is_no_json_even_with_nan_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(UndecodableMessage, match="not_json"):
        parse_events(body)


def test_a_byte_order_mark_is_skipped() -> None:
    body = orjson.dumps([LEAST, LEAST])
    assert parse_events(b"\xef\xbb\xbf" + body) == parse_events(body)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ('{"model_id":"m","prediction":1,"score":1,"score":2}', "score"),
        ('{"model_id":"m","prediction":1,"score":1,"score":1}', "score"),
        ('{"model_id":"m","prediction":1,"score":null,"score":1}', "score"),
        ('{"model_id":"m","prediction":1,"event_id":"\\"","event_id":""}', "event_id"),
        ('{"model_id":"m","prediction":1,"sc\\u006fre":1,"score":1}', "score"),
        ('{"model_id":"a","model_id":"m","prediction":1}', "model_id"),
        ('{"model_id":"m","prediction":[{}],"prediction":1}', "prediction"),
    ],
)
def test_a_field_that_is_given_twice_is_refused_by_event_and_name(event: str, field: str) -> None:
    good = '{"model_id":"m","prediction":"\\"score\\":1,","event_id":"\\u0022"}'
    for index, body in enumerate((f" {event}", f"\n[{good},{event},{good}]")):
        assert [error.model_dump() for error in refusal(body.encode()).errors] == [
            {"index": index, "field": field, "reason": "is given more than once: send it once"}
        ]


@pytest.mark.parametrize("depth", range(600, 1000, 25))
def test_a_field_given_twice_with_a_deep_value_is_refused(depth: int) -> None:
    """Where exactly the depth ends differs between parsers."""
    body = '{"model_id":"m","prediction":' + "[" * depth + "]" * depth + ',"prediction":1}'
    with pytest.raises((InvalidEvents, UndecodableMessage)):
        parse_events(body.encode())


def test_a_huge_integer_is_a_number_like_any_other() -> None:
    [event] = parse_events(b'{"model_id":"m","prediction":123456789012345678901234567890,"score":18446744073709551615}')
    assert event.prediction == 1.2345678901234568e29
    assert event.score == 2.0**64


def test_kinds_of_prediction_are_kept_apart() -> None:
    assert one(prediction=True).prediction is True
    assert one(prediction="true").prediction == "true"
    assert one(prediction=1).prediction == 1.0
    assert not isinstance(one(prediction=1).prediction, bool)
    assert one(prediction="").prediction == ""


@pytest.mark.parametrize("value", [None, [], {}, ["late"], {"label": "late"}, "x" * 129])
def test_what_no_prediction_can_be(value: Any) -> None:
    assert why(prediction=value) == "must be text of at most 128 characters, a finite number, or a boolean"


@pytest.mark.parametrize("value", ["0.5", True, [0.5]])
def test_what_no_score_can_be(value: Any) -> None:
    assert why(score=value) == "must be a finite number or null"


@pytest.mark.parametrize("value", ["", "-a", "a b", "a/b", "a\n", "ä", "x" * 129, 7, None, ["a"]])
def test_what_no_model_id_can_be(value: Any) -> None:
    assert why(model_id=value) == "must match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}"


def test_lengths_are_counted_in_characters_up_to_the_limit() -> None:
    event = one(model_id="m" * 128, prediction="é" * 128, event_id="日" * 64)
    assert (len(event.model_id), len(str(event.prediction)), len(event.event_id or "")) == (128, 128, 64)
    assert why(event_id="日" * 65) == "must be text of at most 64 characters"
    assert why(event_id=7) == "must be text of at most 64 characters"


@pytest.mark.parametrize("field", ["version", "segment"])
@pytest.mark.parametrize("value", ["", "v" * 65, "2.3\n", "\0", "a\x7fb", "\x9f", 2.3, True, ["eu"]])
def test_what_no_version_and_no_segment_can_be(field: str, value: Any) -> None:
    assert why(**{field: value}) == "must be text of 1 to 64 characters, none of them a control character"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2026-11-23T09:15:00Z", datetime(2026, 11, 23, 9, 15, tzinfo=UTC)),
        ("2026-11-23T10:15:00.25+01:00", datetime(2026, 11, 23, 9, 15, 0, 250_000, tzinfo=UTC)),
        (1_795_425_300, datetime(2026, 11, 23, 9, 15, tzinfo=UTC)),
        (1_795_425_300.5, datetime(2026, 11, 23, 9, 15, 0, 500_000, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_timestamps_that_are_understood(sent: Any, meant: datetime) -> None:
    assert one(timestamp=sent).timestamp == meant


@pytest.mark.parametrize(
    ("sent", "hint"),
    [
        ("2026-11-23T09:15:00", "needs an offset"),
        ("2026-11-23", "needs an offset"),
        ("yesterday", "must be RFC 3339 with an offset"),
        ("", "must be RFC 3339 with an offset"),
        ("1795425300", "epoch seconds must be a number, not text"),
        (" -1795425300.5 ", "epoch seconds must be a number, not text"),
        (1_795_425_300_000, "are these milliseconds?"),
        (1_795_425_300_000_000_000, "are these milliseconds?"),
        (-1, "between 1970 and 9998"),
        (True, "must be RFC 3339 text with an offset, or a number of epoch seconds"),
        ([2026], "must be RFC 3339 text with an offset, or a number of epoch seconds"),
    ],
)
def test_timestamps_that_are_refused_and_why(sent: Any, hint: str) -> None:
    assert hint in why(timestamp=sent)


def test_fields_that_are_missing_are_named() -> None:
    assert [(error.field, error.reason) for error in refusal({}).errors] == [
        ("model_id", "is required"),
        ("prediction", "is required"),
    ]


def test_every_bad_event_of_a_batch_is_named_once_per_field() -> None:
    bad = [LEAST, 7, {**LEAST, "score": "high", "age": 41}, LEAST, {**LEAST, "prediction": None}]
    errors = refusal(bad)
    assert [(error.index, error.field) for error in errors.errors] == [
        (1, "(event)"),
        (2, "age"),
        (2, "score"),
        (4, "prediction"),
    ]
    assert str(errors).startswith("event 1, (event): must be a JSON object; event 2: unknown field")


@pytest.mark.parametrize("bad", ["{}", "7", '{"age":1}', '{"model_id":"m","prediction":1,"score":1,"score":2}', "NaN"])
def test_explaining_stops_after_a_hundred_errors_and_takes_memory_in_proportion_to_the_body(bad: str) -> None:
    body = f"[{','.join([bad] * (400_000 // len(bad)))}]".encode()
    tracemalloc.start()
    try:
        errors = refusal(body).errors
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(errors) == MOST_ERRORS
    assert errors[-1].index < MOST_ERRORS
    assert peak < 100 * len(body)


def test_one_event_has_a_hundred_errors_at_most() -> None:
    errors = refusal({f"feature_{number}": number for number in range(50_000)}).errors
    assert len(errors) == MOST_ERRORS


@pytest.mark.parametrize("read", [read_rows, parse_events])
@pytest.mark.parametrize("event", ['{"model_id":"m","prediction":1}', "{}", "7", "NaN", '{"score":1,"score":2}'])
def test_a_body_with_too_many_events_is_refused_by_their_number_before_any_is_explained(read: Any, event: str) -> None:
    body = f"[{','.join([event] * 8)}]".encode()
    with pytest.raises(TooManyEvents) as refused:
        read(body, most_events=7)
    assert refused.value.count == 8
    assert refused.value.detail == "a request may hold 7 events, this one has 8"


def test_as_many_events_as_the_limit_are_read() -> None:
    body = orjson.dumps([LEAST] * 7)
    assert len(parse_events(body, most_events=7)) == len(read_rows(body, most_events=7)) == 7


@pytest.mark.parametrize("body", [b"7", b'"text"', b"null", b"true"])
def test_a_body_that_is_neither_object_nor_array_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(UndecodableMessage, match="send one event") as refused:
        parse_events(body)
    assert refused.value.reason == "not_events"


def test_an_empty_array_is_refused_in_words() -> None:
    with pytest.raises(UndecodableMessage, match="send at least one event") as refused:
        parse_events(b"[]")
    assert refused.value.reason == "no_events"

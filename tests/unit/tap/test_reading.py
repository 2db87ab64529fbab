"""What is taken out of a foreign document, and that nothing else is, not even into the text of a fault."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import parse_events
from sentryml_tap.domain.paths import parse_topics
from sentryml_tap.domain.reading import MOST_EVENTS, Reason, read

AT = 1_795_392_000.0
ONE = parse_topics("t model_id=/m prediction=/p score=/s timestamp=/t version=/v segment=/g")["t"]
MANY = parse_topics("t model_id=fraud prediction=/rows/*/p score=/scores/* segment=/country")["t"]


def events(document: Any, mapping: Any = ONE) -> list[dict[str, Any]]:
    return [orjson.loads(event.json) for event in read(json.dumps(document).encode(), mapping, AT).events]


def faults(document: Any, mapping: Any = ONE) -> list[tuple[Reason, str]]:
    return [tuple(fault) for fault in read(json.dumps(document).encode(), mapping, AT).faults]


def test_what_paths_lead_to_goes_on_and_nothing_else() -> None:
    document = {"m": "fraud", "p": "legit", "s": 0.07, "t": "2026-11-23T09:15:00Z", "v": "2.3", "g": "eu", "amount": 17}
    assert events(document) == [
        {
            "model_id": "fraud",
            "prediction": "legit",
            "score": 0.07,
            "timestamp": "2026-11-23T09:15:00Z",
            "version": "2.3",
            "segment": "eu",
        }
    ]


@pytest.mark.parametrize("time", [AT, AT * 1e3, AT * 1e6, int(AT * 1e9)])
def test_epoch_times_are_taken_in_every_unit(time: float) -> None:
    assert events({"m": "a", "p": 1, "t": time}) == [{"model_id": "a", "prediction": 1.0, "timestamp": AT}]


def test_what_is_optional_may_be_missing_null_or_empty_and_the_time_is_that_of_the_record() -> None:
    expected = [{"model_id": "a", "prediction": True, "timestamp": AT}]
    assert events({"m": "a", "p": True}) == expected
    assert events({"m": "a", "p": True, "s": None, "t": None, "v": "", "g": None}) == expected


def test_integers_name_models_versions_and_segments() -> None:
    assert events({"m": 17, "p": 0, "v": 3, "g": 49})[0] == {
        "model_id": "17", "prediction": 0.0, "timestamp": AT, "version": "3", "segment": "49",
    }  # fmt: skip


def test_a_star_makes_an_event_of_each_element_and_a_list_of_one_is_its_value() -> None:
    document = {"rows": [{"p": [["a"]]}, {"p": "b"}, {}], "scores": [[0.1], 0.2, 0.3], "country": "de"}
    found = read(json.dumps(document).encode(), MANY, AT)
    assert [orjson.loads(event.json) for event in found.events] == [
        {"model_id": "fraud", "prediction": "a", "score": 0.1, "timestamp": AT, "segment": "de"},
        {"model_id": "fraud", "prediction": "b", "score": 0.2, "timestamp": AT, "segment": "de"},
    ]
    assert [fault.text for fault in found.faults] == [
        "prediction at /rows/*/p is missing: it must be text of at most 128 characters, a finite number, or a boolean"
    ]


def test_nan_where_no_path_leads_spoils_nothing() -> None:
    assert len(events({"m": "a", "p": 1, "feature": math.nan, "other": math.inf})) == 1


@pytest.mark.parametrize(
    ("document", "reason", "text"),
    [
        ({"p": 1}, Reason.MISSING_FIELD, "model_id at /m is missing: it must match"),
        ({"m": "a", "p": None}, Reason.MISSING_FIELD, "prediction at /p is null"),
        ({"m": "a", "p": {"label": "x"}}, Reason.INVALID_FIELD, "prediction at /p is an object"),
        ({"m": "a", "p": [1, 2]}, Reason.INVALID_FIELD, "prediction at /p is an array"),
        ({"m": "a", "p": math.nan}, Reason.INVALID_FIELD, "prediction at /p is a number: it must be"),
        ({"m": "a", "p": "x" * 129}, Reason.INVALID_FIELD, "prediction at /p is text: it must be"),
        ({"m": "a", "p": "\ud800"}, Reason.INVALID_FIELD, "prediction at /p is text: it must be"),
        ({"m": "a", "p": 1, "s": "0.5"}, Reason.INVALID_FIELD, "score at /s is text: it must be a finite number"),
        ({"m": "a", "p": 1, "s": True}, Reason.INVALID_FIELD, "score at /s is a boolean"),
        ({"m": "a", "p": 1, "t": "2026-11-23 09:15"}, Reason.INVALID_FIELD, "timestamp at /t is text: it must be RFC"),
        ({"m": "a", "p": 1, "t": False}, Reason.INVALID_FIELD, "timestamp at /t is a boolean"),
        ({"m": "a", "p": 1, "v": "x" * 65}, Reason.INVALID_FIELD, "version at /v is text"),
        ({"m": "no model", "p": 1}, Reason.INVALID_FIELD, "model_id at /m is text: it must match"),
        ([], Reason.MISSING_FIELD, "model_id at /m is missing"),
    ],
)
def test_what_cannot_be_used_is_said_by_path_and_type(document: Any, reason: Reason, text: str) -> None:
    [(found, said)] = faults(document)
    assert (found, said[: len(text)]) == (reason, text)


@pytest.mark.parametrize("body", [b"", b"{", b"\x00\x00\x00\x00\x07avro", b"\xff", b"[" * 100_000, b'"' + b"1" * 10])
def test_what_is_not_json_is_one_fault(body: bytes) -> None:
    assert [tuple(fault) for fault in read(body, ONE, AT).faults] == [(Reason.NOT_JSON, "is not JSON")]


def test_the_events_of_one_document_are_bounded() -> None:
    mapping = parse_topics("t model_id=a prediction=/*")["t"]
    assert len(events([1] * MOST_EVENTS, mapping)) == MOST_EVENTS
    assert faults([1] * (MOST_EVENTS + 1), mapping)[0][0] is Reason.TOO_MANY_EVENTS


SECRET = "payload"
"""In every text, and in every name but those that paths have."""
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text().map(lambda text: SECRET + text)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from("mpstvg") | st.text().map(lambda text: SECRET + text), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=60)
@given(documents, st.sampled_from([ONE, MANY]))
def test_whatever_comes_is_events_of_the_contract_or_faults_without_its_text(document: Any, mapping: Any) -> None:
    found = read(json.dumps(document).encode(), mapping, AT)
    for event in found.events:
        [parsed] = parse_events(event.json)
        assert parsed.model_id == event.model_id
    for fault in found.faults:
        assert SECRET not in fault.text


def texts_in(document: Any) -> set[str]:
    parts = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return {document} if isinstance(document, str) else set().union(*map(texts_in, parts))


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(["p", "s", "t", "v", "g"]), documents))
def test_the_only_texts_that_go_on_are_at_mapped_paths(fields: dict[str, Any]) -> None:
    document = {"m": "a", **fields, "features": {SECRET: SECRET}}
    for event in read(json.dumps(document).encode(), ONE, AT).events:
        texts = {value for value in orjson.loads(event.json).values() if isinstance(value, str) and SECRET in value}
        assert texts <= texts_in(fields)
        assert b"features" not in event.json


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_raise_nothing(body: bytes) -> None:
    read(body, ONE, AT)

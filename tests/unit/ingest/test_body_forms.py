"""The forms of a body: events mean the same however they are written, and what is wrong is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentryml_common.contracts.prediction import (
    BYTE_ORDER_MARK,
    EventRow,
    InvalidEvents,
    TooManyEvents,
    read_rows,
)
from sentryml_common.errors import UndecodableMessage
from sentryml_ingest.domain.body_forms import Form, items_of, read_form
from tests.unit.common.test_event_rows import BODIES, outcome
from tests.unit.common.test_prediction import GOOD_EVENTS
from tests.unit.ingest.builders import event

MOST = 1_000
PER_EVENT = ("prediction", "score", "timestamp", "segment")
COLUMNS: dict[str, Any] = {
    "model_id": "fraud",
    "prediction": [0.2, 0.7, "legit"],
    "score": [0.1, None, 0.3],
    "timestamp": ["2026-11-23T09:15:00Z", 1_795_425_300.25, "2026-11-23T10:15:00+01:00"],
    "version": "2.3",
    "segment": ["eu", None, "us"],
}


def read(body: bytes, form: Form = Form.JSON) -> Any:
    return orjson.loads(read_form(form, body, most_events=MOST).record)


def meaning(body: bytes, form: Form = Form.JSON) -> list[EventRow]:
    """The events of the record: a time may be written in several ways."""
    return read_rows(read_form(form, body, most_events=MOST).record)


def refused(body: bytes, form: Form = Form.JSON) -> str:
    with pytest.raises(UndecodableMessage) as err:
        read_form(form, body, most_events=MOST)
    return err.value.detail


def test_columns_are_the_events_that_they_are_written_for() -> None:
    assert read(orjson.dumps(COLUMNS)) == [
        {
            "model_id": "fraud",
            "prediction": prediction,
            "score": score,
            "timestamp": at,
            "version": "2.3",
            "segment": segment,
        }
        for prediction, score, at, segment in zip(*(COLUMNS[name] for name in PER_EVENT), strict=True)
    ]


def test_columns_of_many_models_have_a_column_of_models() -> None:
    found = read(orjson.dumps({"model_id": ["a", "b"], "prediction": [1.5, True]}))
    assert found == [{"model_id": "a", "prediction": 1.5}, {"model_id": "b", "prediction": True}]


@given(st.lists(GOOD_EVENTS, min_size=1, max_size=5))
def test_good_events_mean_the_same_in_every_form(events: list[dict[str, Any]]) -> None:
    expected = meaning(orjson.dumps(events))
    lines = b"\r\n".join(map(orjson.dumps, events)) + b"\n \n"
    assert meaning(lines, Form.LINES) == expected
    names = set().union(*events)
    if all(names == each.keys() for each in events):
        assert meaning(orjson.dumps({name: [each[name] for each in events] for name in names})) == expected


@given(BODIES)
def test_any_body_is_read_or_refused_with_words(body: bytes) -> None:
    for form in Form:
        outcome(lambda text, form=form: read_form(form, text, most_events=MOST), body)
        with suppress(UndecodableMessage):
            assert items_of(form, body, most_events=MOST)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": [0.1]}, "all columns need the same length: prediction has 3 values, score 1"),
        ({"jane@example.com": [1]}, "all columns need the same length: prediction has 3 values, another column 1"),
        ({"score": 0.1}, "score must be a list, as prediction is"),
        ({"timestamp": "2026-11-23T09:15:00Z"}, "timestamp must be a list, as prediction is"),
        (
            {"prediction": [], "score": [], "timestamp": [], "segment": []},
            "the columns are empty: send at least one event",
        ),
    ],
)
def test_columns_that_do_not_fit_together_are_refused_with_what_to_do(changes: dict[str, Any], says: str) -> None:
    assert refused(orjson.dumps(COLUMNS | changes)) == says


@pytest.mark.parametrize(
    ("changes", "index", "field"),
    [
        ({"score": [0.1, "high", 0.3]}, 1, "score"),
        ({"timestamp": [None, None, "2026-11-23T09:15:00"]}, 2, "timestamp"),
        ({"model_id": ["a", "b", "c d"]}, 2, "model_id"),
        ({"age": [1, 2, 3]}, 0, "age"),
        ({"age": 7}, 0, "age"),
        ({"version": "2.3\n"}, 0, "version"),
        ({"segment": ""}, 0, "segment"),
        ({"segment": ["eu", "e" * 65, None]}, 1, "segment"),
    ],
)
def test_a_bad_value_in_a_column_is_named_by_its_event(changes: dict[str, Any], index: int, field: str) -> None:
    with pytest.raises(InvalidEvents) as err:
        read_form(Form.JSON, orjson.dumps(COLUMNS | changes), most_events=MOST)
    assert (err.value.errors[0].index, err.value.errors[0].field) == (index, field)


@pytest.mark.parametrize("twice", ['"score":[0.1]', '"model_id":"b"', '"prediction":[2]'])
def test_a_column_given_twice_is_refused(twice: str) -> None:
    body = f'{{"model_id":"a","prediction":[1],"score":[0.5],{twice}}}'
    assert refused(body.encode()) == "a column is given more than once: send it once"


def test_times_that_only_the_explaining_parser_knows_are_taken_in_columns() -> None:
    columns = {"model_id": "a", "prediction": [1], "timestamp": ["2026-11-23 09:15Z"]}
    assert read(orjson.dumps(columns))[0]["timestamp"] == "2026-11-23T09:15:00Z"


def test_nan_in_columns_is_not_json() -> None:
    assert refused(b'{"model_id":"a","prediction":[1],"score":[NaN]}').startswith("the body is not JSON: ")


def test_a_line_that_is_not_json_is_named_by_its_number() -> None:
    lines = b"\n".join([orjson.dumps(event()), b"", b'{"model_id":', orjson.dumps(event())])
    assert refused(lines, Form.LINES).startswith("line 3 is not JSON: ")


@pytest.mark.parametrize("body", [b"", b"\n \r\n"])
def test_no_line_is_no_event(body: bytes) -> None:
    assert refused(body, Form.LINES) == "there is no line: send at least one event"


def test_a_line_may_hold_no_array() -> None:
    with pytest.raises(InvalidEvents, match="must be a JSON object"):
        read_form(Form.LINES, b'[{"model_id":"m","prediction":1}]\n', most_events=MOST)


@pytest.mark.parametrize("form", Form)
def test_more_events_than_the_limit_are_refused_in_every_form(form: Form) -> None:
    one = event()
    bodies = {
        Form.LINES: [b"\n".join([orjson.dumps(one)] * 8)],
        Form.JSON: [orjson.dumps([one] * 8), orjson.dumps({"model_id": "m", "prediction": [1] * 8})],
    }
    for body in bodies[form]:
        for read_it in (read_form, items_of):
            with pytest.raises(TooManyEvents, match="may hold 7 events, this one has 8"):
                read_it(form, body, most_events=7)


@pytest.mark.parametrize("form", Form)
def test_a_byte_order_mark_is_skipped_in_every_form(form: Form) -> None:
    one = orjson.dumps(event())
    bodies = {
        Form.LINES: [one + b"\n" + one],
        Form.JSON: [one, b"[" + one + b"]", orjson.dumps({"model_id": "m", "prediction": [1]})],
    }
    for body in bodies[form]:
        marked = BYTE_ORDER_MARK + body
        assert meaning(marked, form) == meaning(body, form)
        assert items_of(form, marked, most_events=MOST) == items_of(form, body, most_events=MOST)


def test_items_are_the_events_as_they_were_written() -> None:
    good, bad = json.dumps(event()), '{"model_id": 7}'
    assert items_of(Form.JSON, f"[{good}, {bad}]".encode(), most_events=MOST) == [good.encode(), bad.encode()]
    assert items_of(Form.LINES, f"{good}\n\n{bad}".encode(), most_events=MOST) == [good.encode(), bad.encode()]
    assert items_of(Form.JSON, good.encode(), most_events=MOST) == [good.encode()]
    columns = items_of(Form.JSON, b'{"model_id":"a","prediction":[1,null]}', most_events=MOST)
    assert list(map(orjson.loads, columns)) == [
        {"model_id": "a", "prediction": 1},
        {"model_id": "a", "prediction": None},
    ]


def test_a_process_that_reads_bodies_ends_orderly() -> None:
    """Python frees the rules of msgspec then; its debugging allocator finds what is freed wrongly each time."""
    command = [sys.executable, "-c", "import sentryml_ingest.domain.body_forms, sentryml_ingest.domain.lenient"]
    ended = subprocess.run(command, env=os.environ | {"PYTHONMALLOC": "debug"}, check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")

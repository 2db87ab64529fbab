"""`POST /v1/events`: a request is taken whole or not at all, and the answer says which and why."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import orjson
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.prediction import MOST_ERRORS, PredictionEvent
from sentryml_common.errors import RecordTooLarge, Unavailable
from sentryml_common.http.problems import MEDIA_TYPE
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings
from tests.unit.common.keys import KEY, KEY_ID, NOW
from tests.unit.ingest.builders import Ingest, RecordingPublisher, app_with, client_of, counted, event

MAX_EVENTS = 200
MAX_BODY_BYTES = 20_000


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    publisher = RecordingPublisher()
    settings = IngestSettings(max_events=MAX_EVENTS, max_body_bytes=MAX_BODY_BYTES)
    async with client_of(app_with(publisher, settings, models=["flights-*"])) as client:
        yield Ingest(client, publisher)


async def test_one_event_is_taken(ingest: Ingest) -> None:
    answer = await ingest.send(event(score=0.93, timestamp="2026-11-23T09:14:59Z", event_id="UA1545"))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    [record] = ingest.publisher.records
    assert orjson.loads(record) == [event(score=0.93, timestamp="2026-11-23T09:14:59Z", event_id="UA1545")]


async def test_a_version_and_a_segment_travel_with_the_event_and_nothing_does_in_their_place(ingest: Ingest) -> None:
    at = "2026-11-23T09:14:59Z"
    assert (await ingest.send(event(timestamp=at, version="2.3", segment="eu"))).status_code == 202
    assert (await ingest.send(event(timestamp=at))).status_code == 202
    sliced, plain = ingest.publisher.records
    assert orjson.loads(sliced) == [event(timestamp=at, version="2.3", segment="eu")]
    assert plain == b'[{"model_id":"flights-delay","prediction":"late","timestamp":"2026-11-23T09:14:59Z"}]'


async def test_an_array_is_taken_as_one_record_in_its_order(ingest: Ingest) -> None:
    sent = [event(prediction=number, timestamp=NOW.timestamp()) for number in range(MAX_EVENTS)]
    answer = await ingest.send(sent)
    assert (answer.status_code, answer.json()) == (202, {"accepted": MAX_EVENTS})
    [record] = ingest.publisher.records
    assert [taken["prediction"] for taken in orjson.loads(record)] == list(range(MAX_EVENTS))


async def test_an_event_without_a_time_gets_that_of_its_receipt(ingest: Ingest) -> None:
    assert (await ingest.send(event())).status_code == 202
    assert orjson.loads(ingest.publisher.records[0])[0]["timestamp"] == "2026-11-23T09:15:00Z"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_json_however_it_is_written(ingest: Ingest, content_type: str) -> None:
    assert (await ingest.send(event(), **{"content-type": content_type})).status_code == 202


async def test_accepted_events_are_counted_once_kafka_has_them(ingest: Ingest) -> None:
    name, before = "sentryml_ingest_events_accepted_total", counted("sentryml_ingest_events_accepted_total")
    await ingest.send([event(), event()])
    assert counted(name) == before + 2
    ingest.publisher.error = Unavailable("away")
    await ingest.send([event(), event()])
    assert counted(name) == before + 2


@pytest.mark.parametrize("content_type", ["text/plain", "text/csv; header=present", "multipart/form-data; boundary=x"])
async def test_what_is_not_json_is_415(ingest: Ingest, content_type: str) -> None:
    problem = await ingest.refused(event(), 415, "not-json", **{"content-type": content_type})
    sent = content_type.partition(";")[0]
    assert problem["detail"] == f"send application/json or application/x-ndjson, not {sent}"


async def test_a_body_over_the_limit_is_413(ingest: Ingest) -> None:
    padding = b" " * (MAX_BODY_BYTES - len(orjson.dumps(event())))
    problem = await ingest.refused(orjson.dumps(event()) + padding + b" ", 413, "body-too-large")
    assert "20,000 bytes: send fewer events at a time" in problem["detail"]
    assert (await ingest.send(orjson.dumps(event()) + padding)).status_code == 202


async def test_a_body_without_a_length_is_cut_at_the_limit(ingest: Ingest) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield b" " * 1000

    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    answer = await ingest.client.post("/v1/events", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent <= MAX_BODY_BYTES + 2000
    assert ingest.publisher.records == []


async def test_more_events_than_the_limit_are_413(ingest: Ingest) -> None:
    problem = await ingest.refused([event()] * (MAX_EVENTS + 1), 413, "too-many-events")
    assert problem["detail"] == "a request may hold 200 events, this one has 201"


async def test_bad_events_are_422_by_index_field_and_reason(ingest: Ingest) -> None:
    bad = [event(), event(age=41), event(timestamp="2026-11-23T09:15:00"), event(score="high")]
    problem = await ingest.refused(bad, 422, "invalid-events")
    assert [(error["index"], error["field"]) for error in problem["errors"]] == [
        (1, "age"),
        (2, "timestamp"),
        (3, "score"),
    ]
    assert "SentryML takes no feature values" in problem["errors"][0]["reason"]
    assert problem["more_errors"] is False
    assert problem["detail"].startswith("3 errors, nothing was accepted: event 1, age: unknown field")
    alone = await ingest.refused(bad[1], 422, "invalid-events")
    assert alone["detail"].startswith("1 error, nothing was accepted: event 0, age: unknown field")


async def test_at_most_a_hundred_errors_are_shown_and_that_there_may_be_more_is_said(ingest: Ingest) -> None:
    problem = await ingest.refused([{"model_id": "flights-delay"}] * 150, 422, "invalid-events")
    assert [error["index"] for error in problem["errors"]] == list(range(MOST_ERRORS))
    assert problem["more_errors"] is True
    assert problem["detail"].startswith("100 errors or more")


async def test_bad_events_over_the_limit_are_counted_and_not_explained(ingest: Ingest) -> None:
    problem = await ingest.refused([{}] * (MAX_EVENTS + 1), 413, "too-many-events")
    assert problem["detail"] == "a request may hold 200 events, this one has 201"
    assert "errors" not in problem


async def test_the_name_of_an_unknown_field_is_said_to_its_sender(ingest: Ingest) -> None:
    problem = await ingest.refused([event(), event(**{"jane@example.com": 0.7})], 422, "invalid-events")
    assert problem["errors"][0]["field"] == "jane@example.com"
    assert "event 1, jane@example.com: unknown field" in problem["detail"]


async def test_nan_is_422_by_the_index_of_its_event_with_what_to_send(ingest: Ingest) -> None:
    body = orjson.dumps([event(), event(score=0.5)]).replace(b"0.5", b"NaN")
    problem = await ingest.refused(body, 422, "invalid-events")
    assert problem["errors"] == [{"index": 1, "field": "score", "reason": "NaN is not JSON: send null"}]


async def test_a_field_that_is_given_twice_is_422(ingest: Ingest) -> None:
    body = orjson.dumps(event(score=1)).replace(b'"score":1', b'"score":1,"score":2')
    problem = await ingest.refused(body, 422, "invalid-events")
    assert problem["errors"] == [{"index": 0, "field": "score", "reason": "is given more than once: send it once"}]


async def test_a_byte_order_mark_is_skipped(ingest: Ingest) -> None:
    assert (await ingest.send(b"\xef\xbb\xbf" + orjson.dumps([event()]))).json() == {"accepted": 1}


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
async def test_a_compressed_body_is_taken(ingest: Ingest, encoding: str) -> None:
    answer = await ingest.send(gzip.compress(orjson.dumps([event()] * 2)), **{"content-encoding": encoding})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"content-encoding": "br"}, "Content-Encoding: br is not supported: gzip, zstd, deflate are"),
        ({}, "the body is compressed with gzip: say so with Content-Encoding: gzip"),
    ],
)
async def test_a_body_compressed_in_another_way_is_415_with_the_ways(
    ingest: Ingest, headers: dict[str, str], says: str
) -> None:
    body = gzip.compress(orjson.dumps(event()))
    problem = await ingest.refused(body, 415, "unsupported-content-encoding", **headers)
    assert problem["detail"] == says
    assert (await ingest.send(body, **headers)).headers["accept-encoding"] == "gzip, zstd, deflate"


async def test_a_compressed_body_has_the_limit_of_what_it_holds(ingest: Ingest) -> None:
    body = gzip.compress(orjson.dumps(event()) + b" " * MAX_BODY_BYTES)
    problem = await ingest.refused(body, 413, "body-too-large", **{"content-encoding": "gzip"})
    assert problem["detail"] == "unpacked, a body may hold 20,000 bytes: send fewer events at a time"


async def test_a_body_that_was_cut_is_422_by_its_encoding(ingest: Ingest) -> None:
    body = gzip.compress(orjson.dumps(event()))[:-9]
    problem = await ingest.refused(body, 422, "badly-compressed", **{"content-encoding": "gzip"})
    assert problem["detail"] == "the body is not gzip: it ends too soon: compress it as Content-Encoding says"


LINES = {"content-type": "application/x-ndjson"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\n".join(orjson.dumps(event(score=score)) for score in (0.5, 0.25)), LINES),
        (orjson.dumps({**event(), "prediction": ["late", "late"], "score": [0.5, 0.25]}), {}),
    ],
    ids=["lines", "columns"],
)
async def test_lines_and_columns_are_taken_as_the_same_record(
    ingest: Ingest, body: bytes, headers: dict[str, str]
) -> None:
    assert (await ingest.send(body, **headers)).json() == {"accepted": 2}
    [record] = ingest.publisher.records
    assert [taken["score"] for taken in orjson.loads(record)] == [0.5, 0.25]


GOOD_AND_BAD = [event(score=1), event(age=41), [], event(timestamp=0), event(score=2), 7]
LENIENT = {"prefer": "respond-async, Handling=Lenient"}


@pytest.mark.parametrize("lines", [False, True], ids=["array", "lines"])
async def test_good_events_are_taken_and_bad_ones_named_where_that_is_preferred(ingest: Ingest, lines: bool) -> None:
    body = b"\n".join([*map(orjson.dumps, GOOD_AND_BAD), b"{"]) if lines else orjson.dumps(GOOD_AND_BAD)
    answer = await ingest.send(body, **LENIENT, **(LINES if lines else {}))
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "handling=lenient"
    said, expected = answer.json(), [(1, "age"), (2, "(event)"), (3, "timestamp"), (5, "(event)")]
    expected += [(6, "(event)")] if lines else []
    assert [(error["index"], error["field"]) for error in said["errors"]] == expected
    assert (said["accepted"], said["refused"], said["more_errors"]) == (2, len(expected), False)
    assert [taken["score"] for taken in orjson.loads(ingest.publisher.records[0])] == [1, 2]


async def test_without_one_good_event_it_is_422_whatever_is_preferred(ingest: Ingest) -> None:
    problem = await ingest.refused([event(age=41)] * 150, 422, "invalid-events", **LENIENT)
    assert len(problem["errors"]) == MOST_ERRORS
    assert problem["more_errors"] is True


async def test_all_good_events_are_taken_whatever_is_preferred(ingest: Ingest) -> None:
    answer = await ingest.send([event()] * 3, **LENIENT)
    assert answer.json() == {"accepted": 3, "refused": 0, "errors": [], "more_errors": False}


async def test_a_model_that_the_key_may_not_write_is_403_whatever_is_preferred(ingest: Ingest) -> None:
    await ingest.refused([event(), event(model_id="fraud")], 403, "forbidden", **LENIENT)


async def test_an_encoding_that_changes_nothing_is_taken(ingest: Ingest) -> None:
    assert (await ingest.send(event(), **{"content-encoding": "identity"})).status_code == 202


async def test_events_of_the_future_are_422(ingest: Ingest) -> None:
    problem = await ingest.refused([event(), event(timestamp="2026-11-23T09:20:01Z")], 422, "invalid-events")
    assert problem["errors"] == [
        {
            "index": 1,
            "field": "timestamp",
            "reason": "is 301 s in the future, more than 300 s: check the sender's clock",
        }
    ]


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{", "not-json"), (b"", "not-json"), (b"7", "not-events"), (b"[]", "no-events")]
)
async def test_a_body_without_events_is_422_in_words(ingest: Ingest, body: bytes, kind: str) -> None:
    problem = await ingest.refused(body, 422, kind)
    assert problem["detail"]
    assert problem["errors"] == []


async def test_no_key_and_a_bad_key_are_401_with_a_challenge(ingest: Ingest) -> None:
    await ingest.refused(event(), 401, "unauthorized", authorization="")
    await ingest.refused(event(), 401, "unauthorized", authorization=f"Bearer {KEY[:-1]}")
    answer = await ingest.send(event(), authorization="")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_who_may_not_send_is_reported_before_the_body_is_read(ingest: Ingest) -> None:
    await ingest.refused(b"{", 401, "unauthorized", authorization="")


async def test_one_model_that_is_not_allowed_refuses_the_request(ingest: Ingest) -> None:
    problem = await ingest.refused([event(), event(model_id="fraud")], 403, "forbidden")
    assert problem["models"] == ["fraud"]


async def test_a_key_without_the_scope_is_403() -> None:
    publisher = RecordingPublisher()
    async with client_of(app_with(publisher, IngestSettings(), scopes=[Scope.READ])) as client:
        await Ingest(client, publisher).refused(event(), 403, "forbidden")


async def test_kafka_that_does_not_take_it_is_503_with_a_time_to_try_again(ingest: Ingest) -> None:
    ingest.publisher.error = Unavailable("Kafka did not acknowledge within 5 s: try again")
    problem = await ingest.refused(event(), 503, "unavailable")
    assert problem["detail"] == "Kafka did not acknowledge within 5 s: try again"
    assert (await ingest.send(event())).headers["retry-after"] == "5"


async def test_kafka_that_was_never_reached_is_503() -> None:
    async with client_of(app_with(EventPublisher(1.0), IngestSettings())) as client:
        answer = await Ingest(client, RecordingPublisher()).send(event())
    assert answer.status_code == 503
    assert "Kafka is not reached yet" in answer.json()["detail"]


async def test_a_defect_is_500_and_counted_as_that(ingest: Ingest) -> None:
    requests = "sentryml_ingest_requests_total"
    before = {status: counted(requests, status=status) for status in ("500", "503")}
    ingest.publisher.error = RuntimeError("a defect")
    await ingest.refused(event(), 500, "internal-server-error")
    assert counted(requests, status="500") == before["500"] + 1
    assert counted(requests, status="503") == before["503"]


async def test_a_request_that_would_outgrow_a_record_is_413() -> None:
    """Small events grow by their time of receipt: far more than the body may hold."""
    publisher = RecordingPublisher()
    settings = IngestSettings(max_body_bytes=900_000)
    async with client_of(app_with(publisher, settings)) as client:
        ingest = Ingest(client, publisher)
        problem = await ingest.refused([event(event_id="e" * 64, prediction="p" * 64)] * 4_600, 413, "record-too-large")
        assert "bytes, more than a Kafka record may: send fewer at a time" in problem["detail"]
        assert (await ingest.send([event()] * 5_000)).json() == {"accepted": 5_000}


async def test_a_request_that_is_too_large_for_this_kafka_is_413(ingest: Ingest) -> None:
    ingest.publisher.error = RecordTooLarge(20_000, "it is set to take less")
    problem = await ingest.refused([event()] * 100, 413, "record-too-large")
    assert "20,000 bytes" in problem["detail"]


async def test_openapi_shows_the_body_the_key_and_all_answers(ingest: Ingest) -> None:
    schema = (await ingest.client.get("/openapi.json")).json()
    route = schema["paths"]["/v1/events"]["post"]
    assert set(route["responses"]) == {"202", "400", "401", "403", "408", "413", "415", "422", "429", "503"}
    assert all(answer["description"] for answer in route["responses"].values())
    problems = {status: answer for status, answer in route["responses"].items() if status != "202"}
    assert all(MEDIA_TYPE in answer["content"] for answer in problems.values())
    assert route["security"] == [{"ApiKey": []}]
    assert schema["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    assert set(route["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    one, many, columns = route["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert one == many["items"] == {"$ref": "#/components/schemas/PredictionEvent"}
    assert columns == {"$ref": "#/components/schemas/PredictionColumns"}
    assert set(schema["components"]["schemas"]["PredictionColumns"]["properties"]) == set(PredictionEvent.model_fields)
    shown = schema["components"]["schemas"]["PredictionEvent"]
    assert set(shown["properties"]) == set(PredictionEvent.model_fields)
    assert shown["required"] == ["model_id", "prediction"]
    assert shown["additionalProperties"] is False
    assert [form["type"] for form in shown["properties"]["timestamp"]["anyOf"]] == ["string", "number", "null"]


async def test_the_examples_in_openapi_are_taken() -> None:
    publisher = RecordingPublisher()
    async with client_of(app_with(publisher, IngestSettings())) as client:
        schema = (await client.get("/openapi.json")).json()
        shown = schema["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        answers = [await Ingest(client, publisher).send(example["value"]) for example in shown.values()]
    assert [answer.json() for answer in answers] == [{"accepted": 1}, {"accepted": 2}, {"accepted": 2}]


async def test_the_secret_of_a_key_is_in_no_answer(ingest: Ingest) -> None:
    answer = await ingest.send(event(), authorization=f"Bearer {KEY}0")
    assert KEY_ID not in answer.text


async def test_a_sender_that_hangs_up_midway_is_no_defect(ingest: Ingest) -> None:
    """Over ASGI itself, since no HTTP client hangs up on demand."""
    before = counted("sentryml_ingest_requests_total", status="400")
    received = iter([{"type": "http.request", "body": b'{"model_id":', "more_body": True}, {"type": "http.disconnect"}])
    answers: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(received)

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/events",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode()), (b"content-type", b"application/json")],
    }
    app = app_with(ingest.publisher, IngestSettings())
    await app(scope, receive, send)
    assert answers[0]["status"] == 400
    assert counted("sentryml_ingest_requests_total", status="400") == before + 1
    assert ingest.publisher.records == []

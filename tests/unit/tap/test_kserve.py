"""CloudEvents of KServe's inference logger, as its documentation shows them, over HTTP."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sentryml_common.http.problems import install_problems
from sentryml_tap.app import create_app
from sentryml_tap.domain.kserve import document_of, event_of, identity_of, mapping_for
from sentryml_tap.domain.reading import Unusable, read_document
from sentryml_tap.http.kserve import KServeSource
from sentryml_tap.sender import Sender
from tests.support.ingest_stand_in import StandIn, problem

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
ATTRIBUTES = {
    "specversion": "1.0",
    "type": "org.kubeflow.serving.inference.response",
    "source": "http://localhost:9081/",
    "id": "0009174a-24a8-4603-b098-09c8799950e9",
    "time": "2021-04-10T00:23:26.080736102Z",
    "inferenceservicename": "sklearn-iris",
    "namespace": "default",
    "component": "predictor",
    "endpoint": "",
    "metadata": '{"X-Country":["de"]}',
}
V1 = {"predictions": [1, 1]}
V2 = {
    "model_name": "sklearn-iris",
    "model_version": "7",
    "id": "a3f4",
    "outputs": [{"name": "output-0", "shape": [2], "datatype": "INT64", "data": [0, 2]}],
}
PROBABILITIES = {
    "outputs": [{"name": "p", "shape": [2, 3], "datatype": "FP32", "data": [0.7, 0.2, 0.1, 0.0, 0.1, 0.9]}]
}
INPUTS = {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}


@pytest.fixture
def app(sender: Sender) -> FastAPI:
    app = create_app(KServeSource(sender, lambda: NOW, 100_000))
    install_problems(app)
    return app


async def post(app: FastAPI, body: Any, headers: dict[str, str], query: str = "") -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tap") as client:
        return await client.post(f"/kserve{query}", content=content, headers=headers)


async def binary(app: FastAPI, data: Any, query: str = "", **attributes: str) -> httpx.Response:
    headers = {f"Ce-{name.capitalize()}": value for name, value in {**ATTRIBUTES, **attributes}.items()}
    return await post(app, data, {**headers, "Content-Type": "application/json"}, query)


async def structured(app: FastAPI, **members: Any) -> httpx.Response:
    headers = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
    return await post(app, {**ATTRIBUTES, "datacontenttype": "application/json", **members}, headers)


def an_event(prediction: float, **fields: Any) -> dict[str, Any]:
    time = "2021-04-10T00:23:26.080736Z"
    return {"model_id": "sklearn-iris", "timestamp": time, "prediction": prediction, **fields}


async def test_a_response_of_v1_is_an_event_for_each_prediction(app: FastAPI, ingest: StandIn) -> None:
    answer = await binary(app, V1)
    assert (answer.status_code, answer.content) == (200, b""), "KServe takes all but 200 for a fault"
    assert ingest.events() == [an_event(1.0), an_event(1.0)]


async def test_a_response_of_v2_names_the_version_too(app: FastAPI, ingest: StandIn) -> None:
    assert (await binary(app, V2)).status_code == 200
    assert ingest.events() == [an_event(0.0, version="7"), an_event(2.0, version="7")]


@pytest.mark.parametrize("data", [{"data": V1}, {"data_base64": base64.b64encode(orjson.dumps(V1)).decode()}])
async def test_structured_mode_is_the_same(app: FastAPI, ingest: StandIn, data: dict[str, Any]) -> None:
    assert (await structured(app, **data)).status_code == 200
    assert ingest.events() == [an_event(1.0), an_event(1.0)]


async def test_the_query_of_the_loggers_address_says_where_other_models_have_their_fields(
    app: FastAPI, ingest: StandIn
) -> None:
    query = (
        "?model_id=iris&prediction=/data/outputs/0/data/*/0&score=.data.outputs[0].data.*.2&segment=/metadata/X-Country"
    )
    assert (await binary(app, PROBABILITIES, query)).status_code == 200
    assert ingest.events() == [
        an_event(0.7, model_id="iris", score=0.1, segment="de"),
        an_event(0.0, model_id="iris", score=0.9, segment="de"),
    ]


async def test_requests_and_events_of_others_are_dropped_unread(app: FastAPI, ingest: StandIn) -> None:
    kind = "org.kubeflow.serving.inference.request"
    assert (await binary(app, INPUTS, type=kind)).status_code == 200
    assert (await structured(app, data=INPUTS, type=kind)).status_code == 200
    assert (await binary(app, b"\x00 no JSON", type="com.example.other")).status_code == 200
    assert ingest.received == []


async def test_the_same_event_has_the_same_key_and_another_one_has_another(app: FastAPI, ingest: StandIn) -> None:
    for attributes in ({}, {}, {"id": "other"}, {"namespace": "other"}, {"component": "transformer"}):
        await binary(app, V1, **attributes)
    await structured(app, data=V1)
    keys = [request.headers["idempotency-key"] for request in ingest.received]
    assert keys[0] == keys[1] == keys[5]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    ("data", "attributes", "text"),
    [
        (b"{secret", {}, "is not JSON"),
        ({"secret": 1}, {}, "prediction at /data/predictions/* is missing: it must be an array where the path has *"),
        ({"predictions": [{"secret": 1}]}, {}, "prediction at /data/predictions/* is an object"),
        (V1, {"time": "secret"}, "timestamp at /time is text"),
        (V1, {"inferenceservicename": "se cret"}, "model_id at /inferenceservicename is text"),
    ],
)
async def test_what_holds_no_prediction_is_refused_without_quoting_it(
    app: FastAPI, ingest: StandIn, data: Any, attributes: dict[str, str], text: str
) -> None:
    with capture_logs() as logs:
        answer = await binary(app, data, **attributes)
    assert answer.status_code == 422
    assert text in answer.json()["detail"]
    assert "cret" not in answer.text + str(logs)
    assert ingest.received == []


async def test_what_is_no_cloudevent_is_refused(app: FastAPI) -> None:
    for answer in (await post(app, V1, {}), await structured(app, id=None), await post(app, b"[1]", {
        "Content-Type": "application/cloudevents+json"
    })):  # fmt: skip
        assert (answer.status_code, answer.json()["detail"]) == (422, "is no CloudEvent: it needs type, source and id")
    assert (await post(app, b"x" * 100_001, {})).status_code == 413
    answer = await binary(app, V1, "?prediction=secret")
    assert (answer.status_code, "secret" in answer.text) == (422, False)


async def test_good_predictions_go_on_though_others_are_bad(app: FastAPI, ingest: StandIn) -> None:
    assert (await binary(app, {"predictions": [1, {"a": 1}, 3]})).status_code == 200
    assert [event["prediction"] for event in ingest.events()] == [1.0, 3.0]


async def test_while_ingest_is_away_the_logger_is_asked_to_come_back(app: FastAPI, ingest: StandIn) -> None:
    ingest.answering = lambda _: problem(503, "unavailable", "Kafka is away")
    for _ in range(2):
        answer = await binary(app, V1)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    assert "Kafka is away" in answer.json()["detail"]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["outputs", "predictions", "data", "shape", "x"]), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(list(ATTRIBUTES)), st.text(max_size=20)), json_values)
def test_whatever_comes_is_read_or_refused(attributes: dict[str, str], data: Any) -> None:
    headers = {f"ce-{name}": value for name, value in {**ATTRIBUTES, **attributes}.items()}
    try:
        event = event_of(headers, orjson.dumps(data))
        document = document_of(event)
        identity_of(event)
        read_document(document, mapping_for(document, ()), 0.0)
    except Unusable:
        return


async def test_an_attribute_however_deep_is_taken_or_refused(app: FastAPI, ingest: StandIn) -> None:
    event = orjson.dumps({**ATTRIBUTES, "data": V1})
    for depth in (500, 950, 1_000, 1_050, 20_000):
        nested = event[:-1] + b', "namespace": ' + b"[" * depth + b"]" * depth + b"}"
        answer = await post(app, nested, {"content-type": "application/cloudevents+json"})
        assert answer.status_code in (200, 422)

"""`watch`, the dependency of FastAPI and the pyfunc of MLflow: what a model returns is logged, and not changed."""

from __future__ import annotations

import importlib
import logging
import pickle
import sys
import threading
from types import ModuleType
from typing import Annotated, Any

import httpx
import numpy as np
import pytest
from fastapi import Depends, FastAPI

import sentryml
import sentryml.client
from sentryml import Client
from sentryml.fastapi import Predictions, lifespan, predictions_of
from tests.support.ingest_stand_in import StandIn


@pytest.fixture(autouse=True)
def _client_of_the_process(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentryml.client._process, "client", client)


class Model:
    """As those of scikit-learn."""

    def __init__(self, predictions: Any, classes: Any = None) -> None:
        self.predictions, self.classes_ = predictions, classes

    def predict(self, rows: Any) -> Any:
        return self.predictions

    def predict_proba(self, rows: Any) -> Any:
        return self.predictions


class Frame:
    """As those of pandas."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def to_numpy(self) -> Any:
        return self.values


def sent(ingest: StandIn) -> list[tuple[Any, Any]]:
    assert sentryml.flush(20)
    return [(event["prediction"], event.get("score")) for event in ingest.events()]


@pytest.mark.parametrize(
    "result", [np.array([0, 1]), [0, 1], (0, 1), Frame([0, 1]), Frame([[0], [1]]), np.array([[0], [1]])]
)
def test_each_value_that_predict_returns_is_a_prediction(ingest: StandIn, result: Any) -> None:
    model = sentryml.watch(Model(result), model_id="fraud", version="2.3")
    assert model.predict([[1], [2]]) is result
    assert sent(ingest) == [(0, None), (1, None)]
    assert {event["version"] for event in ingest.events()} == {"2.3"}


def test_of_two_classes_the_score_is_the_probability_of_the_second(ingest: StandIn) -> None:
    model = sentryml.watch(Model(np.array([[0.75, 0.25], [0.25, 0.75]]), np.array(["legit", "fraud"])), "fraud")
    model.predict_proba([[1], [2]])
    assert sent(ingest) == [("legit", 0.25), ("fraud", 0.75)]


def test_of_more_it_is_that_of_the_most_probable(ingest: StandIn) -> None:
    sentryml.watch(Model([[0.125, 0.625, 0.25]]), "fraud").predict_proba([[1]])
    assert sent(ingest) == [(1, 0.625)]


def test_only_named_methods_are_watched(ingest: StandIn) -> None:
    model = sentryml.watch(Model([[0.75, 0.25]], ["a", "b"]), "fraud", methods=["predict_proba"])
    model.predict([1])
    model.predict_proba([1])
    assert sent(ingest) == [("a", 0.25)]


def test_what_cannot_be_logged_is_returned_all_the_same_and_said_once(
    ingest: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    model = sentryml.watch(Model(np.zeros((2, 3))), "two-outputs")
    with caplog.at_level(logging.WARNING, logger="sentryml"):
        assert [model.predict([1]).shape for _ in range(2)] == [(2, 3), (2, 3)]
    assert len(caplog.records) == 1
    assert "3 values for each row" in caplog.text
    assert sent(ingest) == []


def test_all_else_is_the_models_own(ingest: StandIn) -> None:
    model = sentryml.watch(Model([1.5]), "fraud")
    assert model.classes_ is None
    with pytest.raises(AttributeError):
        model.fit()
    assert pickle.loads(pickle.dumps(model)).predict([1]) == [1.5]
    assert sent(ingest) == [(1.5, None)]


async def test_a_handler_logs_through_its_dependency_once_it_has_returned(ingest: StandIn) -> None:
    app = FastAPI()

    @app.get("/score")
    def score(predictions: Annotated[Predictions, Depends(predictions_of("fraud", version="2.3"))], fail: bool) -> str:
        predictions.log("legit", score=0.07, segment="eu")
        if fail:
            raise ValueError
        return "legit"

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        assert (await http.get("/score", params={"fail": False})).status_code == 200
        assert (await http.get("/score", params={"fail": True})).status_code == 500
    [event] = ingest.events()  # sent at the end of the application
    del event["timestamp"]
    assert event == {"model_id": "fraud", "prediction": "legit", "score": 0.07, "version": "2.3", "segment": "eu"}


def test_a_pyfunc_of_mlflow_logs_what_it_predicts(ingest: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    package, pyfunc = ModuleType("mlflow"), ModuleType("mlflow.pyfunc")
    pyfunc.PythonModel = type("PythonModel", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", pyfunc)
    monkeypatch.delitem(sys.modules, "sentryml.mlflow", raising=False)

    class PythonModel:
        def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
            return [value * (params or {"by": 1})["by"] for value in model_input]

    model = importlib.import_module("sentryml.mlflow").WatchedModel(PythonModel(), "fraud")
    assert model.predict(None, [1, 2]) == [1, 2]
    assert model.predict(None, [1, 2], params={"by": 3}) == [3, 6]
    assert [prediction for prediction, _ in sent(ingest)] == [1, 2, 3, 6]


def test_many_threads_log_and_none_gets_lost(ingest: StandIn) -> None:
    def log() -> None:
        for number in range(500):
            sentryml.log("fraud", number)

    threads = [threading.Thread(target=log) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent(ingest)) == 4_000

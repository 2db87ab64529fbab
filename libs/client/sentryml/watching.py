"""`watch`: whatever a model predicts is logged, and returned as it came."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from sentryml import client
from sentryml.counts import Counts

METHODS = ("predict", "predict_proba")
_counts = Counts()


class Watched:
    """A model whose predictions are logged; all else is the model's own. It can be pickled as the model can."""

    def __init__(self, model: Any, model_id: str, methods: Sequence[str] = METHODS, **fields: Any) -> None:
        self._model, self._model_id, self._methods, self._fields = model, model_id, tuple(methods), fields

    def __getattr__(self, name: str) -> Any:
        if name in ("_model", "_model_id", "_methods", "_fields"):  # while it is being unpickled
            raise AttributeError(name)
        found = getattr(self._model, name)
        return self._logging(name, found) if name in self._methods and callable(found) else found

    def __repr__(self) -> str:
        return f"watch({self._model!r}, model_id={self._model_id!r})"

    def _logging(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            log_result(self._model_id, result, proba=name == "predict_proba", model=self._model, fields=self._fields)
            return result

        return call


def watch(
    model: Any,
    model_id: str,
    *,
    methods: Sequence[str] = METHODS,
    version: str | None = None,
    segment: str | None = None,
) -> Any:
    """Wrap anything with `predict` or `predict_proba`: scikit-learn, XGBoost, LightGBM, CatBoost, a pipeline, a pyfunc.

    `predict` logs each value as the prediction. `predict_proba` logs the most probable class as the prediction, and as
    the score its probability; of two classes the probability of the second. Where you call both for the same rows, name
    one of them in `methods`, else they count twice.
    """
    return Watched(model, model_id, methods, version=version, segment=segment)


def log_result(model_id: str, result: Any, *, proba: bool = False, model: Any = None, fields: dict[str, Any]) -> None:
    """Log what a model has returned: a value, or an array, series, frame or list with one row for each prediction."""
    try:
        rows = _rows(result)
        pairs = (
            _with_scores(rows, getattr(model, "classes_", None)) if proba else [(_single(row), None) for row in rows]
        )
    except Exception as err:  # a foreign model in a foreign process: whatever it returns, the caller gets it
        kind = type(result).__name__
        _counts.say_once((model_id, kind), f"what {model_id!r} returns ({kind}) is not logged: {err}")
        return
    for prediction, score in pairs:
        client.log(model_id, prediction, score, **fields)


def _rows(result: Any) -> list[Any]:
    if isinstance(result, str | bytes):
        return [result]
    for name in ("to_numpy", "tolist", "to_list"):
        if callable(convert := getattr(result, name, None)):
            return _rows(convert())
    return list(result) if isinstance(result, list | tuple) else [result]


def _single(row: Any) -> Any:
    row = _rows(row)
    if len(row) != 1:
        raise ValueError(f"it has {len(row)} values for each row; call sentryml.log with the one to watch")
    return row[0]


def _with_scores(rows: list[Any], classes: Any) -> list[tuple[Any, Any]]:
    names = None if classes is None else _rows(classes)
    return [_most_probable(_rows(row), names) for row in rows]


def _most_probable(probabilities: list[Any], names: list[Any] | None) -> tuple[Any, Any]:
    place = max(range(len(probabilities)), key=probabilities.__getitem__)
    score = probabilities[1] if len(probabilities) == 2 else probabilities[place]
    return (place if names is None else names[place]), score

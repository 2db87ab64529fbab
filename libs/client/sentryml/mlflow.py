"""MLflow: a pyfunc model whose predictions are logged wherever it is served. Needs mlflow.

A pyfunc that was loaded already needs none of this: `sentryml.watch(mlflow.pyfunc.load_model(uri), "fraud")`.
"""

from __future__ import annotations

from typing import Any

from mlflow.pyfunc import PythonModel

from sentryml.watching import log_result


class WatchedModel(PythonModel):  # type: ignore[misc]  # mlflow need not be installed
    """Another `PythonModel`, whose predictions are logged; `log_model(python_model=WatchedModel(model, "fraud"))`.

    `SENTRYML_URL` and `SENTRYML_API_KEY` are read where it is served; neither becomes part of the model.
    """

    def __init__(self, model: Any, model_id: str, version: str | None = None, segment: str | None = None) -> None:
        self._model, self._model_id, self._fields = model, model_id, {"version": version, "segment": segment}

    def load_context(self, context: Any) -> None:
        """As the model does."""
        self._model.load_context(context)

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """What the model predicts."""
        result = self._model.predict(context, model_input, **({"params": params} if params else {}))
        log_result(self._model_id, result, fields=self._fields)
        return result

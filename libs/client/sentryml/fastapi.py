"""FastAPI and Starlette: a dependency, and a lifespan that flushes at the end. Imports neither of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from sentryml import client


class Predictions:
    """What one request predicts."""

    def __init__(self, model_id: str, fields: dict[str, Any]) -> None:
        self._model_id, self._fields = model_id, fields
        self._calls: list[dict[str, Any]] = []

    def log(self, prediction: Any, score: Any = None, **fields: Any) -> None:
        """As `sentryml.log`, once the request has been answered."""
        self._calls.append({**self._fields, "prediction": prediction, "score": score, **fields})

    def send(self) -> None:
        """Log them."""
        for call in self._calls:
            client.log(self._model_id, **call)


def predictions_of(
    model_id: str, *, version: str | None = None, segment: str | None = None
) -> Callable[[], Iterator[Predictions]]:
    """A dependency, for `Depends(predictions_of("fraud"))`: what its `log` is called with is sent when the handler
    returns, and not if it raises, since then nobody got the prediction."""

    def dependency() -> Iterator[Predictions]:
        predictions = Predictions(model_id, {"version": version, "segment": segment})
        yield predictions
        predictions.send()

    return dependency


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """For `FastAPI(lifespan=…)` or `Starlette(lifespan=…)`: at the end, send what waits without blocking the loop."""
    yield
    await asyncio.to_thread(client.flush)

"""Batches to `POST /v1/events`: what each answer means.

accepted            counted as sent
no answer, 408, 429, 5xx   sent again, with the same Idempotency-Key: exponential back-off with jitter, or Retry-After
422, 403 naming some       sent again without these
422 naming none, 413       sent again in halves, so that one event does not take the others with it; so is a batch that
                           gets 500 again and again
all others          refused: logged once a kind with what to do, and counted
"""

from __future__ import annotations

import gzip
import time

from sentryml.connection import Answer, Connection, Unreachable
from sentryml.counts import Counts
from sentryml.delivery import Batch, Delivery, TryAgain
from sentryml.settings import Target

GZIP_FROM_BYTES = 1_000
GZIP_LEVEL = 1
ATTEMPTS_AT_500 = 5
TRANSIENT = (408, 425, 429)
NOT_INGEST = "check SENTRYML_URL: this is not the address of ingest, or it redirects"
ADVICE = {
    401: "check SENTRYML_API_KEY: the key is unknown, expired or revoked (sentryml doctor)",
    403: "use a key with the scope events:write, for these models (sentryml doctor)",
    404: NOT_INGEST,
    422: "correct what it names; the others of the batch were sent",
}


class HttpDelivery(Delivery[Answer]):
    """Sends batches to ingest, over one connection."""

    def __init__(self, target: Target, counts: Counts, timeout: float) -> None:
        super().__init__(target.url, counts)
        self._connection = Connection(target, timeout)
        self._gzip = True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def close_after_fork(self) -> None:
        """Leave the connection to the parent."""
        self._connection.leave_to_parent()

    def _attempt(self, batch: Batch, attempt: int) -> Answer:
        try:
            answer = self._post(batch)
        except Unreachable as err:
            raise TryAgain(str(err)) from err
        if _may_pass(answer.status, attempt):
            raise TryAgain(answer.detail(), answer.retry_after(time.time()))
        return answer

    def _post(self, batch: Batch) -> Answer:
        body = b"[" + b",".join(item.json for item in batch.items) + b"]"
        headers = {"Content-Type": "application/json", "Idempotency-Key": batch.key}
        if self._gzip and len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return self._connection.request("POST", "/v1/events", body, headers)

    def _after(self, batch: Batch, answer: Answer) -> tuple[Batch, ...]:
        if answer.status == 202:
            self._counts.add(sent=len(batch.items))
            self.in_flight -= len(batch.items)
            return ()
        if answer.status == 415 and self._gzip:  # an older ingest
            self._gzip = False
            return (batch,)
        named = _named(batch, answer)
        if named:
            self._refused(len(named), answer)
            return (batch.without(named),)
        if answer.status in (413, 422, 500) and len(batch.items) > 1:
            return batch.halves()
        self._refused(len(batch.items), answer)
        return ()

    def _refused(self, events: int, answer: Answer) -> None:
        fields = {str(error.get("field")) for error in answer.errors()}
        kind = (answer.status, answer.kind(), *sorted(fields))
        known = ADVICE.get(answer.status, NOT_INGEST if answer.status < 400 else "")
        advice = f"; {known}" if known else ""
        self._refuse(events, kind, f"{self._to} refused predictions ({answer.status}): {answer.detail()}{advice}")


def _may_pass(status: int, attempt: int) -> bool:
    """Whether the same request may be accepted later."""
    return status in TRANSIENT or (status >= 500 and not (status == 500 and attempt >= ATTEMPTS_AT_500))


def _named(batch: Batch, answer: Answer) -> set[int]:
    """The indexes of the events that an answer names as the ones to leave out."""
    if answer.status == 422:
        indexes = [error.get("index") for error in answer.errors()]
        return {index for index in indexes if isinstance(index, int) and 0 <= index < len(batch.items)}
    models = answer.problem().get("models")
    if answer.status == 403 and isinstance(models, list):
        return {index for index, item in enumerate(batch.items) if item.model_id in models}
    return set()

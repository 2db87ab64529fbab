"""Batches of a file to ingest, one after another: each is accepted, or the command ends and says which rows are why."""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sentryml.command.rows import Row
from sentryml.command.terminal import UNREACHABLE, Failed
from sentryml.connection import Answer, Connection, Unreachable
from sentryml.settings import Target

ATTEMPTS = 8
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 15.0
TIMEOUT_SECONDS = 60.0
REACH = re.compile(r"(?:reach back|events of the last) ([\d.e+]+) s\b")
"""How ingest says how old an event of a model may be."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A row, and the event it is."""

    row: Row
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was refused. `reach` is how old it might have been, where it was too old."""

    pair: Pair
    field: str
    reason: str
    reach: float | None

    def text(self) -> str:
        """For people."""
        return f"line {self.pair.row.line}: {self.field} {self.reason}"


class TooLarge(Exception):
    """Fewer events at a time are needed."""


class Upload:
    """A connection to ingest."""

    def __init__(self, target: Target, waiting: Callable[[str], None]) -> None:
        self._url, self._waiting = target.url, waiting
        self._connection = Connection(target, TIMEOUT_SECONDS)
        self._gzip = True

    def send(self, pairs: Sequence[Pair], key: str) -> list[Refusal]:
        """Send a batch. None of it was accepted if something is returned: the rows that were refused, at least some of
        them.

        Raises:
            TooLarge: the batch is.
            Failed: nothing of it can be sent.
        """
        answer = self._answered(json.dumps([pair.event for pair in pairs], separators=(",", ":")).encode(), key)
        if answer.status == 202:
            return []
        if answer.status == 413 and len(pairs) > 1:
            raise TooLarge
        refusals = _refusals(pairs, answer)
        if not refusals:
            advice = "; run: sentryml doctor" if answer.status in (401, 403, 404) else ""
            raise Failed(f"{self._url} answered {answer.status}: {answer.detail()}{advice}")
        return refusals

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answered(self, body: bytes, key: str) -> Answer:
        attempt = 0
        while True:
            try:
                answer = self._post(body, key)
                if answer.status == 415 and self._gzip:
                    self._gzip = False
                    continue
                if answer.status not in (408, 425, 429) and answer.status < 500:
                    return answer
                asked, reason = answer.retry_after(time.time()), answer.detail()
            except Unreachable as err:
                asked, reason = None, str(err)
            attempt += asked is None or asked > LONGEST_DELAY_SECONDS
            if attempt >= ATTEMPTS:
                text = f"{self._url} does not take the events: {reason}. Run the same command again to go on"
                raise Failed(text, UNREACHABLE)
            delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**attempt) * random.uniform(0.5, 1)
            self._waiting(reason)
            threading.Event().wait(delay if asked is None else asked)

    def _post(self, body: bytes, key: str) -> Answer:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._gzip:
            body, headers["Content-Encoding"] = gzip.compress(body, 1, mtime=0), "gzip"
        return self._connection.request("POST", "/v1/events", body, headers)


def _refusals(pairs: Sequence[Pair], answer: Answer) -> list[Refusal]:
    found = []
    for error in answer.errors() if answer.status == 422 else ():
        index = error.get("index")
        if isinstance(index, int) and 0 <= index < len(pairs):
            field, reason = str(error.get("field") or ""), str(error.get("reason"))
            reach = REACH.search(reason) if field == "timestamp" else None
            found.append(Refusal(pairs[index], field, reason, float(reach[1]) if reach else None))
    return found

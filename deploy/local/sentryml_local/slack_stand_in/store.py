"""What the stand-in got and what it will answer: in memory, and in an append-only JSONL file if one is named."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field


class Ending(StrEnum):
    """How a scripted exchange ends."""

    ANSWER = "answer"
    RESET = "reset"  # the connection is reset before a byte of the answer
    CUT = "cut"  # the connection closes in the middle of the answer


class Script(BaseModel):
    """An answer to give instead of Slack's own, `times` times.

    `accept` says whether the message is posted all the same; null means that a 200 posts it. With it, "accepts
    and then resets" and "accepts, but answers too late" can be distinguished from plain failures.
    """

    model_config = ConfigDict(extra="forbid")

    status: Annotated[int, Field(ge=200, le=599)] = 200
    body: str = "ok"
    headers: dict[str, str] = {}
    delay_seconds: Annotated[float, Field(ge=0, le=300)] = 0
    ending: Ending = Ending.ANSWER
    accept: bool | None = None
    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @property
    def accepts(self) -> bool:
        """Whether the message is posted."""
        return self.status == 200 if self.accept is None else self.accept


class RateLimit(BaseModel):
    """At most `burst` messages at once and `per_second` in the long run; more is answered 429."""

    model_config = ConfigDict(extra="forbid")

    per_second: Annotated[float, Field(gt=0, le=1000)] = 1.0
    burst: Annotated[int, Field(ge=1, le=1000)] = 1
    retry_after_seconds: Annotated[int, Field(ge=1, le=3600)] = 1


class Request(BaseModel):
    """One request to the webhook: when, to which hook, what, and how it was answered."""

    number: int
    at: datetime
    hook: str
    accepted: bool
    status: int | None
    answer: str
    problem: str
    payload: dict[str, Any] | None


class Tokens:
    """A rate limit in force, with its burst full at the moment `seconds`."""

    def __init__(self, rate: RateLimit, seconds: float) -> None:
        self.rate = rate
        self._tokens, self._filled_at = float(rate.burst), seconds

    def take(self, seconds: float) -> bool:
        """Take one token at the moment `seconds` (of a monotonic clock); False if there is none left."""
        grown = self._tokens + (seconds - self._filled_at) * self.rate.per_second
        self._tokens, self._filled_at = min(grown, float(self.rate.burst)), seconds
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Store:
    """All requests so far, the script, and the rate limit with its tokens."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.requests: list[Request] = _read(file)
        self._script: deque[Script] = deque()
        self._rate: Tokens | None = None

    @property
    def messages(self) -> list[Request]:
        """What was posted, oldest first."""
        return [request for request in self.requests if request.accepted]

    def keep(self, request: Request) -> None:
        """Remember a request, on disk too if a file is named."""
        self.requests.append(request)
        if self._file is not None:
            with self._file.open("ab") as file:
                file.write(orjson.dumps(request.model_dump(mode="json"), option=orjson.OPT_APPEND_NEWLINE))

    def forget(self) -> None:
        """Forget all requests. The file is append-only and keeps them."""
        self.requests.clear()

    def play(self, answers: list[Script]) -> None:
        """Answer the next requests so; added to what is scripted already."""
        self._script.extend(answers)

    def stop_playing(self) -> None:
        """Drop what is left of the script."""
        self._script.clear()

    def next_scripted(self) -> Script | None:
        """Take the next scripted answer, if there is one."""
        if not self._script:
            return None
        script = self._script.popleft()
        if script.times > 1:
            self._script.appendleft(script.model_copy(update={"times": script.times - 1}))
        return script

    def limit(self, rate: RateLimit | None, seconds: float) -> None:
        """Put a rate limit in force, with its burst full; None takes it away."""
        self._rate = Tokens(rate, seconds) if rate else None

    def over_rate(self, seconds: float) -> RateLimit | None:
        """Take one token at the moment `seconds` (of a monotonic clock); the limit if there is none left."""
        if self._rate is None or self._rate.take(seconds):
            return None
        return self._rate.rate


def _read(file: Path | None) -> list[Request]:
    if file is None:
        return []
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        return []
    return [Request.model_validate_json(line) for line in file.read_bytes().splitlines() if line.strip()]

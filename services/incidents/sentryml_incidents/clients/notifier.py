"""The notifier, asked over its REST API for a person on the pages: it decides what they may, and names them.

Nothing waits for ever, and no answer is read further than it may be long: a page with an answer that is missing is
better than no page.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import orjson
from pydantic import SecretStr, TypeAdapter, ValidationError

from sentryml_common.clock import Clock, system_clock
from sentryml_common.errors import SentryMLError
from sentryml_common.http.internal import ActingPerson, signed_headers
from sentryml_common.http.problems import TYPE_PREFIX, Problem
from sentryml_common.logging import get_logger
from sentryml_incidents.clients.http_client import ANSWER_SECONDS

T = TypeVar("T")
log = get_logger(__name__)

MOST_ANSWER_BYTES = 16 * 1024 * 1024
PASSED_ON = (403, 404, 409, 412, 422)
"""Refusals that are for the person: everything else is trouble between the services."""

NO_SECRET = "SENTRYML_INTERNAL_SECRET is not set here: give incidents and notifier the same, and restart them"
STARTING = "the service is starting"


class NotifierAway(SentryMLError):
    """There is no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Where it is, and how to ask it."""

    url: str
    secret: SecretStr | None
    client: httpx.AsyncClient
    clock: Clock = system_clock
    answer_seconds: float = ANSWER_SECONDS

    async def ask(
        self, person: ActingPerson, method: str, target: str, body: object = None, if_match: str | None = None
    ) -> Any:
        """The body of its answer, None if that is empty; `target` is a path with its query, `body` goes as JSON.

        Raises:
            NotifierAway: it gives no answer that is one.
            Problem: it refuses what the person asks for, as it says itself.
        """
        if self.secret is None:
            raise NotifierAway(NO_SECRET)
        url = httpx.URL(self.url + target)
        content = b"" if body is None else orjson.dumps(body)
        headers = signed_headers(
            self.secret, method, url.raw_path.decode(), content, self.clock().timestamp(), person
        ) | {"Content-Type": "application/json"}  # fmt: skip
        if if_match is not None:
            headers["If-Match"] = if_match
        try:
            async with asyncio.timeout(self.answer_seconds):
                status, answer = await self._exchange(method, url, content, headers)
            response = orjson.loads(answer) if answer else None
        except (httpx.HTTPError, TimeoutError, orjson.JSONDecodeError) as err:
            raise _away(f"it does not answer ({type(err).__name__})") from err
        return response if status < httpx.codes.BAD_REQUEST else _refuse(status, response)

    async def _exchange(
        self, method: str, url: httpx.URL, content: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        read = bytearray()
        async with self.client.stream(method, url, content=content, headers=headers) as answer:
            async for part in answer.aiter_bytes():
                read += part
                if len(read) > MOST_ANSWER_BYTES:
                    raise _away("its answer is too long")
            return answer.status_code, bytes(read)


def read_answer(form: type[T], answer: object) -> T:
    """An answer in its form. What is unknown is ignored: it may be newer than this.

    Raises:
        NotifierAway: it has another one.
    """
    try:
        return TypeAdapter(form).validate_python(answer, strict=False)
    except ValidationError as err:
        raise NotifierAway("it answers in another version than this one knows: install the same for both") from err


def _refuse(status: int, response: Any) -> None:
    """Raise what an answer that is a problem means."""
    problem = response if isinstance(response, dict) else {}
    kind, detail = str(problem.get("type", "")), str(problem.get("detail", f"it answers {status}"))
    if status not in PASSED_ON or not kind.startswith(TYPE_PREFIX) or kind == f"{TYPE_PREFIX}not-found":
        raise _away(detail)
    extra = {name: value for name, value in problem.items() if name not in ("type", "title", "status", "detail")}
    raise Problem(status, kind.removeprefix(TYPE_PREFIX), detail, **extra)


def _away(why: str) -> NotifierAway:
    log.warning("notifier_gave_no_answer", why=why)
    return NotifierAway(why)

"""One POST with an end: bounded in time and in what is read of the answer.

A failure is reported as what it means: surely not delivered, or perhaps. Addresses may be secrets: no result shows
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from sentryml_common.clock import Clock
from sentryml_notifier.channels.outbound import TOTAL_SECONDS, AddressRefused, NameUnknown, untrusted
from sentryml_notifier.domain.delivery import Outcome, SendResult

ANSWER_BYTES_MAX = 64 * 1024
CA_SETTING = "SENTRYML_CA_FILE"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the beginning of the body as text, and the seconds of `Retry-After`."""

    status: int
    text: str
    retry_after_seconds: float | None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body as a JSON object; empty if it is none."""
        try:
            found = orjson.loads(self.text)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(slots=True)
class _Progress:
    """Whether anything of a request has been sent: before that, nothing can have arrived."""

    begun: bool = False

    async def follow(self, event: str, _: object) -> None:
        """Called by httpcore with each of its events."""
        self.begun = self.begun or event.endswith(".send_request_headers.started")


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts to one party, called `who` in texts for people. Of an answer it reads `answer_bytes` at most."""

    client: httpx.AsyncClient
    who: str
    clock: Clock
    total_seconds: float = TOTAL_SECONDS
    answer_bytes: int = ANSWER_BYTES_MAX

    async def post(self, address: httpx.URL, body: bytes, headers: Mapping[str, str]) -> Answer | SendResult:
        """The answer, or what it means that there is none. Takes `total_seconds` at most, the name's look-up too."""
        progress = _Progress()
        try:
            async with asyncio.timeout(self.total_seconds):
                return await self._post(address, body, headers, progress)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as err:
            return not_connected(err, self.who)
        except (TimeoutError, httpx.TimeoutException) as err:
            if not progress.begun:
                return not_connected(err, self.who)
            text = f"{self.who} did not answer within {self.total_seconds:g} s; the message may have arrived."
            return SendResult(Outcome.UNCERTAIN, "timeout", text)
        except httpx.TransportError:
            text = f"The connection to {self.who} broke before the answer was complete; the message may have arrived."
            return SendResult(Outcome.UNCERTAIN, "connection_lost", text)

    async def _post(self, address: httpx.URL, body: bytes, headers: Mapping[str, str], progress: _Progress) -> Answer:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        followed = {"trace": progress.follow}
        async with self.client.stream("POST", address, content=body, headers=headers, extensions=followed) as response:
            answer = bytearray()
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > self.answer_bytes:
                    break
        text = answer[: self.answer_bytes].decode("utf-8", "replace").strip()
        return Answer(response.status_code, text, seconds_of(response.headers.get("Retry-After"), self.clock()))


@dataclass(frozen=True, slots=True)
class Receiver:
    """One address to post to. `judge` says what an answer means, `fix` in its texts how to give the channel another
    address or secret."""

    poster: Poster
    address: httpx.URL = field(repr=False)
    judge: Callable[[Answer, str], SendResult]
    fix: str

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> SendResult:
        answer = await self.poster.post(self.address, body, headers or {})
        return self.judge(answer, self.fix) if isinstance(answer, Answer) else answer


def not_connected(error: Exception, who: str) -> SendResult:
    """What it means that there was no connection, of HTTP or another kind: surely nothing was sent."""
    if isinstance(error, AddressRefused):
        return SendResult(Outcome.CHANNEL_REFUSED, "address_not_allowed", f"Nothing was sent: {error}.")
    if isinstance(error, NameUnknown):
        return SendResult(
            Outcome.NOT_ACCEPTED, "name_unknown", f"{who} could not be reached: its name does not resolve."
        )
    if untrusted(error):
        text = (
            f"{who} presents a certificate that is not trusted, or not valid for its name. If it is from your "
            f"own authority, add that authority to {CA_SETTING}."
        )
        return SendResult(Outcome.NOT_ACCEPTED, "certificate_not_trusted", text)
    return SendResult(Outcome.NOT_ACCEPTED, "no_connection", f"{who} could not be reached.")


def seconds_of(retry_after: str | None, now: datetime) -> float | None:
    """`Retry-After` in either of its forms, seconds or a date; None if it is neither."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        return (parsedate_to_datetime(retry_after) - now).total_seconds()
    except (ValueError, TypeError):
        return None

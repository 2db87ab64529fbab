"""Ingest, asked as any sender asks it, with a key that may send events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import orjson

from sentryml_common.contracts.api_key import without_keys
from sentryml_common.errors import SentryMLError
from sentryml_common.logging import get_logger
from sentryml_incidents.clients.http_client import member_of

log = get_logger(__name__)

PATH = "/v1/events"
ANSWER_SECONDS = 10.0
KEY_KNOWN_SECONDS, PAUSE_SECONDS = 5.0, 0.2
"""How long a key that was made just now may be unknown to ingest: within a second it should be everywhere."""
NO_ADDRESS = (
    "this service does not know where ingest is: set SENTRYML_INGEST_URL of incidents to the address under which "
    "senders reach it"
)


class NotAccepted(SentryMLError):
    """Ingest has not accepted an event; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """Where it is, and how to ask it."""

    url: str | None
    client: httpx.AsyncClient
    key_known_seconds: float = KEY_KNOWN_SECONDS

    async def send(self, key: str, event: Mapping[str, object]) -> None:
        """Send one event with a key, which may have been made just now.

        Raises:
            NotAccepted: it does not answer, or refuses.
        """
        if self.url is None:
            raise NotAccepted(NO_ADDRESS)
        loop = asyncio.get_running_loop()
        until = loop.time() + self.key_known_seconds
        answer = await self._post(self.url, key, event)
        while answer.status_code == httpx.codes.UNAUTHORIZED and loop.time() < until:
            await asyncio.sleep(PAUSE_SECONDS)
            answer = await self._post(self.url, key, event)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise _refused(answer)

    async def _post(self, url: str, key: str, event: Mapping[str, object]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            return await self.client.post(
                url + PATH, content=orjson.dumps(event), headers=headers, timeout=ANSWER_SECONDS
            )
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            log.warning("ingest_gave_no_answer", url=url, why=type(err).__name__)
            raise NotAccepted(
                f"ingest does not answer at {url} ({type(err).__name__}): is it running, and does this service reach "
                "it there? Its address is SENTRYML_INGEST_INTERNAL_URL of incidents, or else SENTRYML_INGEST_URL"
            ) from err


def _refused(answer: httpx.Response) -> NotAccepted:
    detail = member_of(answer, "detail") or "it gives no reason: is there another program at its address?"
    return NotAccepted(f"ingest answers {answer.status_code}: {without_keys(detail)[:500]}")

"""The incidents service, asked by signed requests: the one place that decides what people may do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import httpx
from pydantic import SecretStr, ValidationError

from sentryml_common.clock import Clock
from sentryml_common.contracts.internal.incident_action import PATH, ActedOnIncident, ActOnIncident, IncidentAction
from sentryml_common.contracts.internal.system_state import PATH as STATE_PATH
from sentryml_common.contracts.internal.system_state import SystemState
from sentryml_common.contracts.message import decode, encode
from sentryml_common.errors import UndecodableMessage
from sentryml_common.http.internal import signed_headers
from sentryml_common.logging import get_logger

log = get_logger(__name__)

ANSWER_SECONDS, CONNECT_SECONDS = 10.0, 3.0
NOT_SET_UP = (
    "SentryML is not set up to take this from Slack: SENTRYML_INTERNAL_SECRET is not set, or not the same for all."
)
NOT_ASKED = (httpx.HTTPError, TimeoutError, UndecodableMessage, ValidationError)
NO_ANSWER = "SentryML did not answer, so this may not be done. Press again in a minute."


def make_client() -> httpx.AsyncClient:
    """The client to ask with: apart from the channels' own, which may be forbidden to go to addresses near by."""
    return httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS), trust_env=False)


@dataclass(frozen=True, slots=True)
class Incidents:
    """Where it is, and how to ask it."""

    url: str
    secret: SecretStr | None
    client: httpx.AsyncClient
    clock: Clock

    async def act(self, email: str, action: IncidentAction, incident_id: UUID, sequence: int) -> ActedOnIncident:
        """Act on an incident for a person; a failure is returned as a text for them."""
        if self.secret is None:
            return ActedOnIncident(done=False, text=NOT_SET_UP)
        try:
            asked = ActOnIncident(
                email=email, incident_id=incident_id, sequence=sequence, action=action, via="Slack"
            )  # fmt: skip
            answer = await self._ask(self.secret, "POST", PATH, encode(asked))
            if answer.status_code in (401, 404):
                log.warning("incidents_refused", status=answer.status_code, why=NOT_SET_UP)
                return ActedOnIncident(done=False, text=NOT_SET_UP)
            return decode(ActedOnIncident, answer.raise_for_status().content)
        except NOT_ASKED as err:
            log.warning("incidents_not_asked", why=type(err).__name__)
            return ActedOnIncident(done=False, text=NO_ANSWER)

    async def system_state(self) -> SystemState | None:
        """What of SentryML stands still, as far as it knows; None if it does not answer, or cannot be asked."""
        if self.secret is None:
            return None
        try:
            answer = await self._ask(self.secret, "GET", STATE_PATH)
            return decode(SystemState, answer.raise_for_status().content)
        except NOT_ASKED as err:
            log.warning("incidents_not_asked", why=type(err).__name__)
            return None

    async def _ask(self, secret: SecretStr, method: str, path: str, body: bytes = b"") -> httpx.Response:
        headers = signed_headers(secret, method, path, body, self.clock().timestamp())
        if body:
            headers["Content-Type"] = "application/json"
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self.client.request(method, self.url.rstrip("/") + path, content=body, headers=headers)

"""Who may read the ledger: the holder of an API key with the scope `read`, checked in memory."""

from __future__ import annotations

from fastapi import Request

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey, Scope, key_id_of
from sentryml_common.http.problems import Problem, unavailable
from sentryml_common.kafka.follower import Follower

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="SentryML"'}


class ReadAccess:
    """A FastAPI dependency: lets a request pass that may read, and leaves its key in `request.state.api_key`."""

    def __init__(self, keys: Follower[ApiKey], clock: Clock) -> None:
        self._keys, self._clock = keys, clock

    async def __call__(self, request: Request) -> None:
        """Check the request's key.

        Raises:
            Problem: 401 no key, or no valid one; 403 it may not read; 503 the keys are not known yet.
        """
        if not self._keys.caught_up.is_set():
            raise unavailable("the API keys are still being read from Kafka: try again in a few seconds")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Problem(401, "no-api-key", "send an API key: Authorization: Bearer sml_…", headers=CHALLENGE)
        key = self._keys.current.get(key_id_of(given) or "")
        if key is None or not key.opens(given, self._clock()):
            # One answer for all: which part of a key is wrong is nobody's business.
            raise Problem(401, "bad-api-key", "this API key is unknown, expired or revoked", headers=CHALLENGE)
        if not key.allows(Scope.READ):
            raise Problem(403, "missing-scope", f"this API key lacks the scope {Scope.READ.value}")
        request.state.api_key = key

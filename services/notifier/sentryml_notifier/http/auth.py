"""Who may read the ledger: the holder of an API key with the scope `read`, checked in memory."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request

from sentryml_common.clock import Clock
from sentryml_common.contracts.api_key import ApiKey, Scope, key_id_of
from sentryml_common.http.problems import Problem


class ReadAccess:
    """A FastAPI dependency: lets a request with a fitting key pass."""

    def __init__(self, keys: Mapping[str, ApiKey], clock: Clock) -> None:
        self._keys, self._clock = keys, clock

    async def __call__(self, request: Request) -> None:
        """Raise a problem unless the request may read."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        given = given.strip()
        key_id = key_id_of(given) if scheme.lower() == "bearer" else None
        key = self._keys.get(key_id) if key_id else None
        if key is None or not key.opens(given, self._clock()):
            raise Problem(
                401, "unauthorized", "send a valid API key: `Authorization: Bearer sml_…`",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        if not key.allows(Scope.READ):
            raise Problem(403, "forbidden", f"this key lacks the scope `{Scope.READ}`")

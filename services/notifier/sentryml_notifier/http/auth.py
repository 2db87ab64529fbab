"""Who may read the ledger: the holder of an API key with the scope `read`."""

from __future__ import annotations

from fastapi import Request

from sentryml_common.http.access import Gatekeeper


class ReadAccess:
    """A FastAPI dependency: lets a request pass that may read, and leaves its key in `request.state.api_key`."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper

    async def __call__(self, request: Request) -> None:
        """Check the request's key; refusals are the gatekeeper's."""
        request.state.api_key = self._gatekeeper.admit(request.headers.get("Authorization"))

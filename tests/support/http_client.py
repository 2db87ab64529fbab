"""Clients of services on this machine."""

from __future__ import annotations

from typing import Any

import httpx


def http_client(base_url: str = "", **options: Any) -> httpx.AsyncClient:
    """A client without TLS, since reading all authorities' certificates takes 25 ms, and without a proxy."""
    return httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False, **options)

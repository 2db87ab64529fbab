"""The one HTTP client by which other services are asked."""

from __future__ import annotations

from typing import Final

import httpx
import orjson

ANSWER_SECONDS: Final = 20.0
"""A processor rests as long as it works (5 s at most), after some waiting for others; a test message may take ten
seconds."""
CONNECT_SECONDS: Final = 3.0


def make_client() -> httpx.AsyncClient:
    """The client to ask with."""
    return httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS), trust_env=False)


def member_of(answer: httpx.Response, name: str) -> str:
    """A member of an answer's JSON; empty where it has none."""
    try:
        return str(orjson.loads(answer.content)[name])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""

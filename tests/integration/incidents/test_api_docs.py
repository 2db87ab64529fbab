"""The example of docs/api.md that follows the stream does what the page says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx

from tests.integration.incidents.conftest import Life
from tests.integration.incidents.test_stream import Replica, replica
from tests.unit.test_api_docs import PAGE

__all__ = ["replica"]


def follow(url: str, key: str, last_id: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The page's own function."""
    names: dict[str, Any] = {}
    exec(PAGE.partition("```python\n")[2].partition("```")[0], names)
    return names["follow"](url, key, last_id)  # type: ignore[no-any-return]


async def test_the_example_follows_and_resumes(api: httpx.AsyncClient, life: Life, replica: Replica) -> None:
    await life.sees("warn", "critical", "ok")
    key = api.headers["Authorization"].removeprefix("Bearer ")
    url = await replica()
    reported = await asyncio.to_thread(lambda: list(islice(follow(url, key, "0"), 2)))
    rest = await asyncio.to_thread(lambda: list(islice(follow(url, key, reported[-1][0]), 1)))
    assert [step["kind"] for _, step in reported + rest] == ["opened", "escalated", "resolved"]

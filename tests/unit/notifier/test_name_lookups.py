"""A name that is looked up for ever takes no longer than anything else that does not answer, in a time that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
import pytest

from sentryml_notifier.channels.outbound import CONNECT_SECONDS, Guard, connect, make_client
from sentryml_notifier.channels.posting import Answer, Poster
from sentryml_notifier.domain.delivery import Outcome, SendResult
from tests.support.virtual_time import run_in_virtual_time

NAME = "hooks.example"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def for_ever(host: str, port: int) -> Sequence[str]:
    """A resolver that never answers."""
    await asyncio.sleep(3600)
    return [host]


async def post(total_seconds: float) -> tuple[float, Answer | SendResult]:
    async with make_client(resolve=for_ever) as client:
        found = await Poster(client, "The receiver", lambda: NOON, total_seconds).post(
            httpx.URL(f"https://{NAME}/"), b"{}", {}
        )
    return asyncio.get_running_loop().time(), found


@pytest.mark.parametrize("total_seconds", [1.0, CONNECT_SECONDS + 5.0])
def test_a_post_ends_with_its_own_time_or_with_that_for_connecting(total_seconds: float) -> None:
    ended_at, found = run_in_virtual_time(post(total_seconds))
    assert ended_at == pytest.approx(min(total_seconds, CONNECT_SECONDS))
    assert isinstance(found, SendResult)
    assert (found.outcome, found.reason) == (Outcome.NOT_ACCEPTED, "no_connection")


async def connect_for_ever() -> float:
    with pytest.raises(httpx.ConnectTimeout):
        await connect(Guard(resolve=for_ever), NAME, 25)
    return asyncio.get_running_loop().time()


def test_a_connection_that_is_not_of_http_has_the_same_time() -> None:
    assert run_in_virtual_time(connect_for_ever()) == pytest.approx(CONNECT_SECONDS)

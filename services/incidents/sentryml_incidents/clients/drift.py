"""The drift processors, which keep the counts of models: asked what another monitor would have found.

Each model has one owner among them, and which one it is changes; so all are asked at once, and the owner answers. A
name may stand for several machines (replicas in containers): then each of its addresses is asked.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from datetime import datetime

import httpx
from pydantic import SecretStr

from sentryml_common.clock import Clock, system_clock
from sentryml_common.contracts.internal.recomputation import MOST_RECOMPUTED, PATH, Recompute, Recomputed
from sentryml_common.contracts.message import decode, encode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.errors import SentryMLError, UndecodableMessage
from sentryml_common.http.internal import signed_headers
from sentryml_common.logging import get_logger
from sentryml_incidents.clients.http_client import ANSWER_SECONDS, member_of

log = get_logger(__name__)

NO_SECRET = "this service has no SENTRYML_INTERNAL_SECRET to ask a processor with"
NO_ADDRESS = "this service has no SENTRYML_PROCESSOR_URLS to ask"
NO_OWNER = "no processor that was asked owns the model"


class NotRecomputed(SentryMLError):
    """There is no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Processors:
    """Where they are, and how to ask them."""

    urls: tuple[str, ...]
    secret: SecretStr | None
    client: httpx.AsyncClient
    clock: Clock = system_clock
    answer_seconds: float = ANSWER_SECONDS

    async def recompute(self, monitor: Monitor, since: datetime, most: int = MOST_RECOMPUTED) -> Recomputed:
        """What `monitor` would have found, back to `since` as far as panes reach, at most `most` evaluations.

        Raises:
            NotRecomputed: no processor has answered.
        """
        if not self.urls:
            raise NotRecomputed(NO_ADDRESS)
        if self.secret is None:
            raise NotRecomputed(NO_SECRET)
        asked = encode(Recompute(monitor=monitor, since=since, most=most))
        reasons: list[str] = []
        asking = [asyncio.create_task(self._ask(url, asked, self.secret)) for url in await _addresses(self.urls)]
        try:
            async with asyncio.timeout(self.answer_seconds):
                for answer in asyncio.as_completed(asking):
                    found = await answer
                    if isinstance(found, Recomputed):
                        return found
                    reasons.append(found)
        except TimeoutError:
            reasons.append("a processor has not answered in time")
        finally:
            for task in asking:
                task.cancel()
        raise NotRecomputed(next((why for why in reasons if why != NO_OWNER), NO_OWNER))

    async def _ask(self, url: str, asked: bytes, secret: SecretStr) -> Recomputed | str:
        """One processor's answer, or why there is none."""
        target = httpx.URL(url + PATH)
        headers = signed_headers(secret, "POST", target.raw_path.decode(), asked, self.clock().timestamp())
        try:
            answer = await self.client.post(target, content=asked, headers=headers)
            if answer.status_code == httpx.codes.OK:
                return await asyncio.to_thread(decode, Recomputed, answer.content)
            why = NO_OWNER if member_of(answer, "type").endswith(":model-not-owned") else _refused(answer)
        except httpx.RequestError as err:
            why = f"a processor does not answer ({type(err).__name__})"
        except UndecodableMessage as err:
            why = f"a processor answers in another version: {err}"
        if why != NO_OWNER:
            log.warning("processor_gave_no_answer", url=url, why=why)
        return why


async def _addresses(urls: tuple[str, ...]) -> list[str]:
    """The urls, with each plain one whose name resolves to several machines once for each of these."""
    return [each for found in await asyncio.gather(*map(_addresses_of, urls)) for each in found]


async def _addresses_of(url: str) -> list[str]:
    parsed = httpx.URL(url)
    if parsed.scheme != "http":  # a certificate is for the name
        return [url]
    try:
        # Of one kind only: a machine that has addresses of both must not be asked twice.
        found = await asyncio.get_running_loop().getaddrinfo(
            parsed.host, parsed.port or 80, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError:
        return [url]
    return [str(parsed.copy_with(host=address[0])).rstrip("/") for *_, address in found]


def _refused(answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.NOT_FOUND:
        return "a processor has no SENTRYML_INTERNAL_SECRET, and so answers nobody"
    return f"a processor answers {answer.status_code}: {member_of(answer, 'detail')}"

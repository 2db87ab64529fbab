"""A real Alertmanager that gets what the channel sends: does it show each incident as it is, and no longer?"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx

from sentryml_common.clock import system_clock
from sentryml_common.contracts.transition import Transition
from sentryml_common.postgres.pool import Pool
from sentryml_notifier.channels.alertmanager.sender import Alertmanager
from sentryml_notifier.channels.base import Identity, Outgoing, Resent, Tools
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.channels.outbound import make_client
from sentryml_notifier.domain.delivery import Outcome
from sentryml_notifier.domain.message import compose
from sentryml_notifier.domain.message_input import Story
from tests.support.eventually import eventually_sync
from tests.support.ports import free_port
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn, resolved

RESOLVE_TIMEOUT_SECONDS = 3
CONFIGURATION = f"""
global: {{resolve_timeout: {RESOLVE_TIMEOUT_SECONDS}s}}
route: {{receiver: nobody}}
receivers: [{{name: nobody}}]
"""


@dataclass(frozen=True, slots=True)
class RealAlertmanager:
    """Where it listens."""

    url: str

    def ready(self) -> bool:
        """Whether it has started."""
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def firing(self) -> set[tuple[str, str]]:
        """Model and severity of each alert that fires now."""
        alerts: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts", trust_env=False).json()
        return {(each["labels"]["model"], each["labels"]["severity"]) for each in alerts}


@contextmanager
def running_alertmanager(program: str, folder: Path) -> Iterator[RealAlertmanager]:
    """One that takes for over what it has not got for RESOLVE_TIMEOUT_SECONDS."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text(CONFIGURATION)
    address = f"127.0.0.1:{free_port()}"
    command = [
        program, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data",
        f"--web.listen-address={address}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (folder / "alertmanager.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield RealAlertmanager(f"http://{address}")
        finally:
            process.terminate()


@asynccontextmanager
async def channel_to(real: RealAlertmanager) -> AsyncIterator[Alertmanager]:
    """The notifier's channel, without a database."""
    hosts = frozenset({real.url.removeprefix("http://")})
    async with make_client(hosts) as client:
        tools = Tools(cast(Pool, None), client, system_clock, hosts)
        opened = KINDS["alertmanager"].opened(tools, Identity(UUID(int=1), "ops"), {"urls": [real.url]}, {})
        yield cast(Alertmanager, opened)


async def send(channel: Alertmanager, *history: Transition) -> None:
    """Deliver the last step of an incident."""
    story = Story(history, history[-1:])
    result = await channel.send(Outgoing(compose(story), story, UUID(int=7), (UUID(int=8),)))
    assert result.outcome is Outcome.DELIVERED, result.text


async def rehearse(real: RealAlertmanager, say: Callable[[str], None]) -> None:
    """Open, send again, escalate, resolve; and open without sending again, which Alertmanager takes for over."""
    async with channel_to(real) as channel:
        seen = await _follow(channel, real)
    say("| Alertmanager is sent | fires then |\n|---|---|")
    for what, firing in seen:
        say(f"| {what} | {', '.join(' '.join(each) for each in sorted(firing)) or '–'} |")


async def _follow(channel: Alertmanager, real: RealAlertmanager) -> Sequence[tuple[str, set[tuple[str, str]]]]:
    at = system_clock()
    opened, worse = opened_warn(model_id="fraud", at=at), escalated(model_id="fraud", minutes=0, at=at)
    over = resolved(sequence=3, model_id="fraud", minutes=0, at=at)
    await send(channel, opened)
    seen = [("an incident", real.firing())]
    ends = time.monotonic() + 3 * RESOLVE_TIMEOUT_SECONDS
    while time.monotonic() < ends:
        await asyncio.sleep(RESOLVE_TIMEOUT_SECONDS / 3)
        await channel.resend([Resent(Story([opened], [opened]), None)], ended=False)
        assert real.firing() == {("fraud", "warning")}, "sent again in time, it does not end"
    seen.append((f"it again, for {3 * RESOLVE_TIMEOUT_SECONDS} s", real.firing()))
    await send(channel, opened, worse)
    seen.append(("its escalation", real.firing()))
    await send(channel, opened, worse, over)
    seen.append(("its end", real.firing()))
    await send(channel, opened_critical(model_id="churn", incident=43, at=at))
    seen.append(("another incident, once", real.firing()))
    await asyncio.to_thread(eventually_sync, lambda: not real.firing(), what="Alertmanager to end it by itself")
    seen.append((f"nothing for {RESOLVE_TIMEOUT_SECONDS} s", real.firing()))
    expected = [{("fraud", "warning")}] * 2 + [{("fraud", "critical")}, set(), {("churn", "critical")}, set()]
    assert [firing for _, firing in seen] == expected, seen
    return seen

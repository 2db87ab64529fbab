"""Browsers for tests: each visit has cookies of its own, and is watched for what no page may do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from sentryml_incidents.domain.roles import Role
from tests.browser.scene import Scene
from tests.support.eventually import LONG_SECONDS

expect.set_options(timeout=1000 * LONG_SECONDS)
REFUSED = "Failed to load resource: the server responded with a status of 4"
"""What Chromium says of a page that is an error in words; pages are judged by what is on them."""
AWAY = ("net::ERR_", "Failed to load resource: the server responded with a status of 503")
"""What it says while the service is away, and while it starts."""


@dataclass
class Watch:
    """What went wrong in a visit: errors of scripts, refusals by the content security policy, calls elsewhere."""

    host: str
    expected: tuple[str, ...]
    faults: list[str] = field(default_factory=list)

    def attach(self, context: BrowserContext) -> None:
        context.on("console", self._said)
        context.on("weberror", lambda err: self.faults.append(f"a script failed: {err.error}"))
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(each in message.text for each in self.expected):
            self.faults.append(f"the console has: {message.text}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != self.host:
            self.faults.append(f"asked another host: {request.url}")


@asynccontextmanager
async def a_visit(
    browser: Browser, scene: Scene, role: Role | None, *, away: bool = False, **options: Any
) -> AsyncIterator[Page]:
    """A tab in which somebody of that role is signed in; at the end nothing may have gone wrong in it, other than that
    the service was `away`."""
    context = await browser.new_context(base_url=scene.url, **options)
    context.set_default_timeout(1000 * LONG_SECONDS)
    watch = Watch(urlsplit(scene.url).netloc, (REFUSED, *AWAY) if away else (REFUSED,))
    watch.attach(context)
    try:
        if role is not None:
            cookies = scene.cookies[role].items()
            await context.add_cookies([{"name": name, "value": value, "url": scene.url} for name, value in cookies])
        yield await context.new_page()
    finally:
        await context.close()
    assert not watch.faults, "\n".join(watch.faults)

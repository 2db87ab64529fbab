"""A notifier whose channel is a stand-in of PagerDuty, Alertmanager, Microsoft Teams or Discord, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Response

from sentryml_notifier.channel_registry import OpenChannel
from sentryml_notifier.channels.base import Identity
from sentryml_notifier.channels.kinds import KINDS
from sentryml_notifier.delivery.resender import Resender
from tests.integration.notifier.conftest import World, make_channel, serving
from tests.support import vendors
from tests.support.vendors import ROUTING_KEY, Vendor

TAKES: Mapping[str, tuple[str, Callable[[Vendor, bytes], Response]]] = {
    "pagerduty": ("/v2/enqueue", vendors.pagerduty),
    "alertmanager": ("/prefix/api/v2/alerts", vendors.alertmanager),
    "teams": ("/workflows/a/triggers/manual/paths/invoke", vendors.teams),
    "discord": ("/api/webhooks/1234567890/token", vendors.discord),
}


def config_of(kind: str, authority: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and secret of a channel that leads to a stand-in."""
    url = f"http://{authority}{TAKES[kind][0]}"
    match kind:
        case "pagerduty":
            return {"url": url}, {"routing_key": ROUTING_KEY}
        case "alertmanager":
            return {"urls": [url.removesuffix("/api/v2/alerts")], "labels": ["team=ml"]}, {"token": "secret-token"}
        case "teams":
            return {}, {"url": f"{url}?api-version=1&sig=verysecret"}
        case _:
            return {}, {"url": url}


@asynccontextmanager
async def vendor_channel(world: World, kind: str) -> AsyncIterator[Vendor]:
    """The only channel with a route leads to the stand-in."""
    vendor = Vendor()
    async with serving(vendor.app(*TAKES[kind])) as authority:
        settings, secret = config_of(kind, authority)
        await world.pool.execute("DELETE FROM route")
        channel_id = await make_channel(world, "ops", kind, b"", settings)
        opened = KINDS[kind].opened(world.tools(authority), Identity(channel_id, "ops"), settings, secret)
        world.channel = OpenChannel(channel_id, "ops", kind, "1", opened, for_people=KINDS[kind].for_people)
        yield vendor


async def resend(world: World) -> bool:
    """Send again what is due; whether anything was, and arrived."""
    return await Resender(world.pool, world.registry(), world.clock).resend_due(world.channel)

"""The notifier answers as its OpenAPI says, whatever is asked: schemathesis on the real application."""

from __future__ import annotations

from pathlib import Path

from sentryml_notifier.delivery.auditor import audit_once
from tests.integration.incidents.stream_clients import serving
from tests.integration.notifier.api_client import Api, api, app_on
from tests.integration.notifier.conftest import World
from tests.support.schemathesis import Beyond, hold_to_openapi
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn, resolved

__all__ = ["api"]

ROUTE, CHANNEL = "/v1/routes/{route_id}", "/v1/channels/{channel_id}"
KINDS = "a channel's kind knows more than a schema tells: which addresses secrets may go to"
BEYOND = [
    *(
        Beyond("GET", f"/v1/{path}", 422, "a cursor is opaque: only ours are taken")
        for path in ("changes", "deliveries")
    ),
    Beyond("POST", "/v1/routes", 422, "its channel must be there"),
    Beyond("PUT", ROUTE, 422, "its channel must be there"),
    *(Beyond(method, ROUTE, 412, "If-Match of another version") for method in ("PUT", "DELETE")),
    Beyond("POST", "/v1/channels", 422, KINDS),
    Beyond("PATCH", CHANNEL, 422, KINDS),
    *(Beyond(method, CHANNEL, 412, "If-Match of another version") for method in ("PATCH", "DELETE")),
    Beyond("PUT", f"{CHANNEL}/fallback", 412, "If-Match of another version"),
]


async def lived(world: World, api: Api) -> None:
    """Channels, routes, and deliveries in every state."""
    made = await api.make_channel("ops", world.slack.address)
    await api.make_route("ops", made["channel_id"], remind_after_seconds=600)
    await world.take_in(opened_warn(), escalated(), resolved(sequence=3))
    await world.dispatch()
    await world.take_in(opened_critical(incident=43, model_id="other"))
    api.context.keep_audit(await audit_once(world.pool, world.clock))


async def test_every_answer_is_as_documented(world: World, api: Api, tmp_path: Path) -> None:
    await lived(world, api)
    async with serving(app_on(api.context)) as url:
        key = api.client.headers["Authorization"].removeprefix("Bearer ")
        await hold_to_openapi(url, key, tmp_path, examples=8, beyond=BEYOND)
    actions = {action for action, _, _ in await api.texts()}
    assert {"channel_made", "route_made"} <= actions

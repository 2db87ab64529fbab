"""The REST API answers as its OpenAPI says, whatever is asked: schemathesis on the real application."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import httpx

from sentryml_common.contracts.api_key import Scope
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.deliveries import DeliveryConsumer
from sentryml_incidents.consumers.evaluations import ActivityConsumer
from tests.integration.incidents.conftest import Life, MakeClient, StillClock, register
from tests.integration.incidents.stream_clients import serving
from tests.integration.incidents.test_stream import an_app
from tests.support.schemathesis import Beyond, hold_to_openapi
from tests.unit.incidents.builders import MODEL, a_delivery, an_activity, at, quick


def path_of(path: str) -> str:
    return f"/v1/{path}"


LISTS = (
    "incidents",
    "incidents/{reference}/timeline",
    "incidents/{reference}/deliveries",
    "models",
    "models/{model_id}/evaluations",
    "models/{model_id}/markers",
    "models/{model_id}/monitor/versions",
)
RUNS = 3
"""A run that lists the keys and then revokes them may revoke its own: it has asked for less than it should."""
ACTIONS = ("acknowledge", "unacknowledge", "close", "accept", "was-normal", "undo", "notes")
BEYOND = [
    *(Beyond("GET", path_of(path), 422, "a cursor is opaque: only ours are taken") for path in LISTS),
    *(
        Beyond("POST", path_of(f"incidents/{{reference}}/{action}"), 412, "If-Match of another version")
        for action in ACTIONS
    ),
    Beyond("PUT", path_of("models/{model_id}/monitor"), 412, "If-Match of another version"),
    Beyond("PUT", path_of("models/{model_id}/monitor"), 422, "settings must fit each other and the version in force"),
    Beyond("POST", path_of("models/{model_id}/monitor:preview"), 422, "settings must fit each other, as for PUT"),
    Beyond("PUT", path_of("models/{model_id}/reference"), 412, "If-Match of another reference"),
    Beyond("DELETE", path_of("models/{model_id}/reference"), 412, "If-Match of another reference"),
    Beyond("PUT", path_of("models/{model_id}/reference"), 422, "both signals must add up to the number of events"),
    Beyond("POST", path_of("api-keys"), 422, "expires_at must lie ahead"),
    Beyond("POST", path_of("incidents:bulk"), 422, '1 and "1" are the same incident'),
]


async def lived(api: httpx.AsyncClient, pool: Pool) -> None:
    """Models with incidents in every state; the one of the examples has activity and evidence."""
    stories = {MODEL: ["ok", "warn", "critical"], "a": ["critical"], "b": ["warn", "ok"], "c": ["critical"], "d": []}
    for model_id, grades in stories.items():
        await register(pool, model_id, quick())
        await Life(pool, model_id=model_id).sees(*grades)
    incident = (await api.get("/v1/incidents/1")).json()["incident_id"]
    reported = [a_delivery(incident_id=incident), a_delivery("no_route", incident_id=incident, delivery_id=UUID(int=1))]
    await DeliveryConsumer(pool).take_all(reported)
    await ActivityConsumer(pool, quick()).take_all([an_activity(when=at(2))])
    for action in ("acknowledge", "close"):
        assert (await api.post(f"/v1/incidents/4/{action}")).status_code == 200
    assert (await api.post("/v1/incidents/2/acknowledge")).status_code == 200


async def test_every_answer_is_as_documented(
    api: httpx.AsyncClient, client_with: MakeClient, pool: Pool, clock: StillClock, tmp_path: Path
) -> None:
    await lived(api, pool)
    async with an_app(pool, clock) as (app, stream), serving(app) as url:
        stream.close()  # a stream that is asked for ends after what was missed, as when the service stops
        for number in range(RUNS):
            client = await client_with(Scope.ADMIN, name=f"run {number}")
            key = client.headers["Authorization"].removeprefix("Bearer ")
            await hold_to_openapi(url, key, tmp_path, examples=8, beyond=BEYOND)
            if (await client.get("/v1/models")).status_code == 200:
                return
    raise AssertionError("each run has revoked its own key: another seed is needed")

"""`/v1/system-alerts`: what of SentryML stands still, and did before."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, JsonValue

from sentryml_common.contracts.internal.notifier_api import SystemAlertResponse
from sentryml_common.contracts.internal.system_state import SystemFault
from sentryml_common.http.paging import Page
from sentryml_notifier.domain.system_alerts.rules import SystemAlert
from sentryml_notifier.domain.system_alerts.text import title_of
from sentryml_notifier.http.auth import Reader
from sentryml_notifier.http.context import WithContext
from sentryml_notifier.store.system_alerts import list_system_alerts

router = APIRouter(prefix="/v1/system-alerts", tags=["deliveries"])

SHOWN = 50
EXAMPLE: dict[str, JsonValue] = {
    "alert_id": "5e2a6a0e-40a1-4a86-8f29-8c1d6c2f9a01",
    "fault": "input_stalled",
    "channel": None,
    "title": "SentryML: predictions are not counted",
    "text": "What is sent is not counted: is a combiner running, and does it reach Kafka? Its /readyz says what it "
    "waits for.",
    "since": "2026-11-23T09:20:00Z",
    "began_at": "2026-11-23T09:31:10Z",
    "ended_at": None,
}


class SystemAlertView(SystemAlertResponse):
    """A system alert."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    fault: SystemFault


@router.get("")
async def list_all(context: WithContext, asker: Reader) -> Page[SystemAlertView]:
    """What does not work now, then the newest that is over; 50 at most."""
    async with context.transaction() as connection:
        found = await list_system_alerts(connection, SHOWN)
    return Page(items=[_view(each) for each in found], next_cursor=None)


def _view(alert: SystemAlert) -> SystemAlertView:
    return SystemAlertView(
        alert_id=alert.alert_id,
        fault=alert.subject.fault,
        channel=alert.subject.channel or None,
        title=title_of(alert.subject),
        text=alert.text,
        since=alert.since,
        began_at=alert.began_at,
        ended_at=alert.ended_at,
    )

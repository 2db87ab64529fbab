"""`/v1/audit`: whether every alert is accounted for, as of the last audit of the whole ledger."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, Field, JsonValue

from sentryml_common.contracts.internal.notifier_api import AuditResponse, FindingResponse
from sentryml_common.errors import Unavailable
from sentryml_notifier.http.auth import Reader
from sentryml_notifier.http.context import WithContext
from sentryml_notifier.store.audit import Fault

router = APIRouter(prefix="/v1/audit", tags=["deliveries"])

EXAMPLE: dict[str, JsonValue] = {"at": "2026-11-23T09:30:00Z", "findings": [], "alerts_without_route": 0}


class FindingView(FindingResponse):
    """A fault in the ledger of deliveries."""

    fault: Fault


class AuditView(AuditResponse):
    """The last audit; audits are a few seconds apart."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    findings: tuple[FindingView, ...] = Field(
        description="Empty: each delivery is delivered, scheduled, or parked with a reason."
    )


@router.get("")
async def show(context: WithContext, asker: Reader) -> AuditView:
    """What the last audit found. An old `at` says that the auditor itself is in trouble. A key for some models is shown
    nothing about others."""
    audit = context.audit
    if audit is None:
        raise Unavailable("no audit has finished since the start")
    findings = tuple(
        FindingView(fault=each.fault, channel=each.channel, text=each.text)
        for each in audit.findings
        if each.model_id is None or asker.may_see(each.model_id)
    )
    return AuditView(at=audit.at, findings=findings, alerts_without_route=audit.without_route)

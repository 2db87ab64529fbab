"""`POST /v1/incidents:bulk`: one action on many incidents, each in a transaction of its own, with a result for each."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, NamedTuple, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sentryml_common.contracts.api_key import ApiKey
from sentryml_common.errors import Unavailable
from sentryml_common.http.access import actor_of
from sentryml_common.http.problems import Problem, ProblemDetails, unavailable
from sentryml_common.http.versions import etag
from sentryml_incidents.api.auth import Writer
from sentryml_incidents.api.refusals import problem_of
from sentryml_incidents.api.views import IncidentView, incident_view
from sentryml_incidents.usecases.act_on_incident import act
from sentryml_incidents.usecases.context import Context, WithContext
from sentryml_incidents.usecases.errors import Refused
from sentryml_incidents.usecases.texts import NoteText
from sentryml_lifecycle.events.on_action import Action

router = APIRouter(prefix="/v1", tags=["incidents"])

MOST_INCIDENTS = 500
LARGEST_EXACT = 2**53 - 1
"""JSON numbers above it are not the same everywhere."""

Number = Annotated[int, Field(strict=True, ge=1, le=LARGEST_EXACT)]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F-]{1,36}$")]
ETag = Annotated[str, StringConstraints(max_length=1000)]


class AsSeen(BaseModel):
    """An incident, to be acted on only as it was seen."""

    model_config = ConfigDict(extra="forbid")

    incident: Number | Id
    if_match: ETag = Field(description="The ETag of what you saw.", examples=['"v3"'])


class Bulk(BaseModel):
    """One action on many incidents."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"action": "acknowledge", "incidents": [17, {"incident": 18, "if_match": '"v3"'}]}],
            "if": {"properties": {"action": {"const": "note"}}},
            "then": {"required": ["note"], "properties": {"note": {"type": "string"}}},
        },
    )

    action: Action
    incidents: list[Number | Id | AsSeen] = Field(
        min_length=1,
        max_length=MOST_INCIDENTS,
        description="Numbers or ids, each once; with `if_match` where it matters.",
        json_schema_extra={"uniqueItems": True},
    )
    note: NoteText | None = Field(None, description="For each timeline; the action `note` requires it.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        requested = [each.reference for each in self.requested()]
        if twice := [reference for reference, times in Counter(requested).items() if times > 1]:
            raise ValueError(f"name each incident once; twice is {twice[0]}")
        if self.action is Action.NOTE and self.note is None:
            raise ValueError("the action note requires a note")
        return self

    def requested(self) -> list[Requested]:
        """The incidents, in the order of the request."""
        return [
            Requested(str(each.incident), each.if_match) if isinstance(each, AsSeen) else Requested(str(each), None)
            for each in self.incidents
        ]


class Requested(NamedTuple):
    """One incident of a request."""

    reference: str
    if_match: str | None


class BulkResult(BaseModel):
    """What became of one incident: `status` and body are those of the single request."""

    reference: str = Field(description="The incident as the request named it.")
    status: int = Field(examples=[200])
    etag: str | None = Field(description="Its version afterwards.", examples=['"v3"'])
    incident: IncidentView | None = Field(description="Its state, if the action was done (or was done already).")
    problem: ProblemDetails | None = Field(description="Why it was not done.")


class BulkResults(BaseModel):
    """One result for each incident, in the order of the request."""

    results: list[BulkResult]


@router.post("/incidents:bulk")
async def act_on_many(context: WithContext, key: Writer, body: Bulk) -> BulkResults:
    """Acknowledge, unacknowledge, close or comment on up to 500 incidents. Each is acted on separately: some may be
    done and others refused, which is why the answer is 200 with a result for each."""
    results: list[BulkResult] = []
    away: Problem | None = None
    for requested in body.requested():
        if away is None:
            try:
                results.append(await _act_on_one(context, key, body, requested))
                continue
            except Unavailable as err:
                away = unavailable(str(err))  # the others would only wait for it, too
        results.append(_refused(requested.reference, away))
    return BulkResults(results=results)


async def _act_on_one(context: Context, key: ApiKey, body: Bulk, requested: Requested) -> BulkResult:
    reference, match = requested
    try:
        incident = await act(context, actor_of(key), key.allows_model, reference, body.action, body.note, match)
    except Refused as err:
        return _refused(reference, problem_of(err, context.public_url))
    view = incident_view(incident, context.public_url)
    return BulkResult(reference=reference, status=200, etag=etag(incident.sequence), incident=view, problem=None)


def _refused(reference: str, problem: Problem) -> BulkResult:
    details, version = ProblemDetails.model_validate(problem.body()), problem.headers.get("ETag")
    return BulkResult(reference=reference, status=problem.status, etag=version, incident=None, problem=details)

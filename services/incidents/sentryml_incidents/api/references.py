"""`/v1/models/{id}/reference`: what slow drift is measured against."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from sentryml_common.contracts.evaluation import Level, Signal, SlowDrift
from sentryml_common.contracts.reference import ReferenceSource
from sentryml_common.contracts.transition import Actor
from sentryml_common.http.access import actor_of
from sentryml_common.http.bodies import check_json, read_body, receive_of
from sentryml_common.http.etags import VERSIONED, IfMatch
from sentryml_common.http.problems import Problem, problem_answers
from sentryml_incidents.api.auth import Reader, Writer
from sentryml_incidents.api.models import UNKNOWN, PathModelId, check_model
from sentryml_incidents.domain.uploaded_reference import UploadedReference, contradictions
from sentryml_incidents.store.evaluations.evaluations import find_latest_evaluation, find_slow_drift
from sentryml_incidents.store.references import KeptReference, find_reference
from sentryml_incidents.usecases.change_reference import etag_of, forget_reference, upload_reference
from sentryml_incidents.usecases.context import WithContext
from sentryml_incidents.usecases.known_model import known_model
from sentryml_lifecycle.text.reference_text import found_slowly, when_made

router = APIRouter(prefix="/v1/models", tags=["monitors"])

MOST_BODY_BYTES = 64 * 1024


class SignalAgainstReference(BaseModel):
    """What one signal's newest comparison with the reference has found."""

    signal: Signal
    level: Level
    psi: float
    warn_at: float
    noise_floor: float
    text: str = Field(examples=["Score: PSI 0.04 against the reference, calm below 0.10."])


class ReferenceComparison(BaseModel):
    """The newest comparison with the reference."""

    evaluated_at: datetime
    level: Level
    signals: list[SignalAgainstReference]


class ReferenceView(BaseModel):
    """The reference in force."""

    reference_id: UUID
    model_id: str
    source: ReferenceSource
    made_at: datetime
    made_by: Actor
    start: datetime | None = Field(description="Where the events of a `history` begin; null of an upload.")
    end: datetime | None
    events: int
    comparison: ReferenceComparison | None = Field(description="Null until there was one.")


MOVED_ON = (412, "Another one is in force than the `If-Match` that was sent says; `reference_id` is its id, or null.")


@router.get(
    "/{model_id}/reference",
    responses={
        **VERSIONED,
        **problem_answers((404, "No such model has been seen, or it has no reference yet: `detail` says when.")),
    },
)
async def show(context: WithContext, key: Reader, model_id: PathModelId, response: Response) -> ReferenceView:
    """What slow drift of a model is measured against, and the newest comparison with it. Its `ETag` changes with the
    reference; give it as `If-Match` to replace the one that you saw."""
    check_model(key, model_id)
    async with context.transaction() as connection:
        _, monitor = await known_model(connection, model_id)
        kept = await find_reference(connection, model_id)
        if kept is None:
            latest = await find_latest_evaluation(connection, model_id)
            raise Problem(404, "no-reference", when_made(monitor, latest))
        response.headers["ETag"] = etag_of(kept.reference.reference_id)
        return _view(kept, await find_slow_drift(connection, kept.reference))


@router.put(
    "/{model_id}/reference",
    responses={
        **VERSIONED,
        **UNKNOWN,
        **problem_answers(
            MOVED_ON,
            (413, f"The body is longer than {MOST_BODY_BYTES:,} bytes."),
            (422, "The histogram does not fit; `errors` names each field and what to do. The reference stays."),
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UploadedReference"}}},
        }
    },
)
async def upload(
    context: WithContext,
    key: Writer,
    model_id: PathModelId,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
) -> ReferenceView:
    """Put a reference in force that was made elsewhere, for example of the data that the model was validated with. Only
    counts are sent, no rows. Slow drift is then measured from the next evaluation on."""
    check_model(key, model_id)
    uploaded = _read(
        await read_body(receive_of(request), MOST_BODY_BYTES, "a reference", ": round numbers, group categories")
    )
    kept = await upload_reference(context, actor_of(key), model_id, uploaded, if_match)
    response.headers["ETag"] = etag_of(kept.reference.reference_id)
    return _view(kept, None)


@router.delete("/{model_id}/reference", status_code=204, responses={**UNKNOWN, **problem_answers(MOVED_ON)})
async def forget(context: WithContext, key: Writer, model_id: PathModelId, if_match: IfMatch = None) -> Response:
    """Forget the reference: a new one is made from the next evaluation at level ok with a whole baseline."""
    check_model(key, model_id)
    await forget_reference(context, actor_of(key), model_id, if_match)
    return Response(status_code=204)


def _read(body: bytes) -> UploadedReference:
    check_json(body)
    try:
        uploaded = UploadedReference.model_validate_json(body)
    except ValidationError as err:
        named = [{**each, "loc": ("body", *each["loc"])} for each in err.errors(include_url=False)]
        raise RequestValidationError(named) from err
    if errors := contradictions(uploaded):
        detail = "; ".join(f"{each['field']}: {each['reason']}" for each in errors)
        raise Problem(422, "invalid-request", detail, errors=errors)
    return uploaded


def _view(kept: KeptReference, compared: tuple[datetime, SlowDrift] | None) -> ReferenceView:
    comparison = None if compared is None else _comparison(*compared)
    return ReferenceView(**dict(kept.reference), made_by=kept.actor, comparison=comparison)


def _comparison(evaluated_at: datetime, found: SlowDrift) -> ReferenceComparison:
    signals = [
        SignalAgainstReference(
            signal=each.signal,
            level=each.level,
            psi=each.psi or 0.0,
            warn_at=each.warn_at or 0.0,
            noise_floor=each.noise_floor or 0.0,
            text=text,
        )
        for each, text in zip(found.signals, found_slowly(found), strict=True)
    ]
    return ReferenceComparison(evaluated_at=evaluated_at, level=found.level, signals=signals)

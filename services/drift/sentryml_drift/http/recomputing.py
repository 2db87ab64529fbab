"""`POST /v1/evaluations:recompute`: what another monitor would have found, for the worker that owns the model."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request, Response

from sentryml_common.contracts.internal.recomputation import PATH, Recompute
from sentryml_common.contracts.message import decode, encode
from sentryml_common.errors import Unavailable, UndecodableMessage
from sentryml_common.http.internal import InternalAccess
from sentryml_common.http.problems import Problem
from sentryml_drift.evaluation.recomputer import NotOwned, Recomputer
from sentryml_drift.event_loop_slices import Pacer


@dataclass(slots=True)
class Recomputing:
    """Filled by the wiring once there is a processor."""

    recomputer: Recomputer | None = None

    async def answer(self, asked: Recompute) -> bytes:
        """A `Recomputed`, as JSON. It is encoded in slices: all at once would hold up the loop.

        Raises:
            Problem: 404 another worker owns the model.
            Unavailable: not now.
        """
        if self.recomputer is None:
            raise Unavailable("this worker is starting: try again in a few seconds")
        try:
            found = await self.recomputer.recompute(asked)
        except NotOwned as err:
            raise Problem(404, "model-not-owned", str(err)) from err
        evaluations, pace = [], Pacer()
        for each in found.evaluations:
            await pace()
            evaluations.append(orjson.Fragment(encode(each)))
        rest = found.model_dump(mode="json", exclude={"evaluations"})
        return orjson.dumps(rest | {"evaluations": evaluations})


def recomputing_routes(recomputing: Recomputing, access: InternalAccess) -> APIRouter:
    """The one route, for other services alone."""
    router = APIRouter(include_in_schema=False)

    @router.post(PATH)
    async def recompute(request: Request) -> Response:
        signed = await access(request)
        try:
            asked = decode(Recompute, signed.body)
        except UndecodableMessage as err:
            raise Problem(422, "invalid-request", err.detail, errors=[]) from err
        return Response(await recomputing.answer(asked), media_type="application/json")

    return router

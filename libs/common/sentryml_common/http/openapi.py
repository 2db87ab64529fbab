"""OpenAPI as a service really answers: problems instead of the framework's own error form, everywhere."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from sentryml_common.http.problems import ProblemDetails, problem_answers

INVALID = "The request does not fit; `errors` names each field and what is wrong with it."
FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")


API_KEY: dict[str, Any] = {"ApiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "sml_…"}}
"""How requests authenticate."""


def install_openapi(app: FastAPI, **schemas: dict[str, Any]) -> None:
    """Complete what `app` says of itself; `schemas` are further components that its routes refer to."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            components = document.setdefault("components", {})
            components.setdefault("securitySchemes", API_KEY)
            known = components.setdefault("schemas", {})
            for name in FRAMEWORKS_OWN:
                known.pop(name, None)
            known["ProblemDetails"] = ProblemDetails.model_json_schema()
            known.update(schemas)
            for path in document.get("paths", {}).values():
                for operation in path.values():
                    _with_problems(operation)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(operation: dict[str, Any]) -> None:
    """A request that does not fit is answered by a problem, unless the route says something more precise."""
    answers = operation.get("responses", {})
    if "HTTPValidationError" in str(answers.get("422")):
        answers["422"] = problem_answers((422, INVALID))[422]

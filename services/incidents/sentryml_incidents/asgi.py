"""The HTTP application: every router under one roof."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from pydantic import SecretStr

from sentryml_common.http.bodies import unambiguous_json
from sentryml_common.http.internal import InternalAccess
from sentryml_common.http.openapi import install_openapi
from sentryml_incidents.api import api_keys, bulk, incidents, markers, models, monitors, references, stream, unreadable
from sentryml_incidents.api import incident_actions as actions
from sentryml_incidents.api import model_deletion as deletion
from sentryml_incidents.api.auth import KEYED
from sentryml_incidents.api.internal.slack_actions import slack_action_routes
from sentryml_incidents.api.internal.system_state import system_state_routes
from sentryml_incidents.api.previews import monitor_advice as advice
from sentryml_incidents.api.previews import monitor_preview as preview
from sentryml_incidents.api.refusals import install_refusals
from sentryml_incidents.domain import uploaded_reference
from sentryml_incidents.usecases import monitor_patch
from sentryml_incidents.usecases.context import Context, install_context
from sentryml_incidents.web.pages import install_pages

DESCRIPTION = """Models and how they are watched, incidents and what is done about them.

Every request carries an API key: `Authorization: Bearer sml_…`. A key for some models sees only those. Lists come in
pages: give `next_cursor` as `cursor` for the next one; a page may hold fewer items than `limit`, the last one has no
`next_cursor`. Errors are problems (RFC 9457) whose `type` is explained in docs/api.md.
"""


def create_app(context: Context, internal_secret: SecretStr | None = None) -> FastAPI:
    """The application, whose routes work as soon as `context` has its pool. Without a secret, no service asks it."""
    app = FastAPI(title="SentryML incidents", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)
    install_context(app, context)
    install_refusals(app)
    for part in (
        models,
        deletion,
        monitors,
        markers,
        references,
        preview,
        advice,
        incidents,
        actions,
        bulk,
        stream,
        api_keys,
        unreadable,
    ):
        app.include_router(part.router, responses=KEYED, dependencies=[Depends(unambiguous_json)])
    if internal_secret is not None:
        access = InternalAccess(internal_secret, context.clock)
        app.include_router(slack_action_routes(access))
        app.include_router(system_state_routes(access))
    install_openapi(app, MonitorChange=monitor_patch.change_schema(), **uploaded_reference.schemas())
    install_pages(app)
    return app

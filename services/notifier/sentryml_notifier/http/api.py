"""The HTTP application: every router under one roof."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from sentryml_common.http.api_page import install_api_page
from sentryml_common.http.bodies import unambiguous_json
from sentryml_common.http.openapi import install_openapi
from sentryml_notifier.http import (
    audits,
    changes,
    channel_config,
    channel_kinds,
    channel_tests,
    channels,
    deliveries,
    fallbacks,
    previews,
    retries,
)
from sentryml_notifier.http.auth import KEYED
from sentryml_notifier.http.context import Context, install_context
from sentryml_notifier.http.routes import api as routes
from sentryml_notifier.http.system import alerts

DESCRIPTION = """Where alerts go, and what became of each: routes, channels, deliveries.

Every request carries an API key: `Authorization: Bearer sml_…`. A key for some models sees only their deliveries. Lists
come in pages: give `next_cursor` as `cursor` for the next one. Errors are problems (RFC 9457) whose `type` is explained
in docs/api.md. Secrets are taken, encrypted and never shown.
"""


def create_app(context: Context) -> FastAPI:
    """The application, whose routes work as soon as `context` has its pool."""
    app = FastAPI(title="SentryML notifier", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None)
    install_context(app, context)
    for part in (
        routes,
        previews,
        channels,
        channel_kinds,
        fallbacks,
        channel_tests,
        deliveries,
        retries,
        changes,
        audits,
        alerts,
    ):
        app.include_router(part.router, responses=KEYED, dependencies=[Depends(unambiguous_json)])
    install_openapi(app, **channel_config.schemas())
    install_api_page(app)
    return app

"""The HTTP application: every router under one roof."""

from __future__ import annotations

from fastapi import FastAPI

from sentryml_incidents.http import actions, api_keys, deletion, incidents, models, monitors, preview
from sentryml_incidents.http.context import Context, install_context
from sentryml_incidents.http.pages import install_pages


def create_app(context: Context) -> FastAPI:
    """The application, whose routes work as soon as `context` has its pool."""
    app = FastAPI(title="SentryML incidents", version="1", docs_url="/docs", redoc_url=None)
    install_context(app, context)
    for part in (models, deletion, monitors, preview, incidents, actions, api_keys):
        app.include_router(part.router)
    install_pages(app)
    return app

"""Wiring of the tap."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

from sentryml.settings import target
from sentryml_common.clock import system_clock
from sentryml_common.health import Health
from sentryml_common.service import Service, run
from sentryml_common.settings import load_settings_or_exit
from sentryml_tap.http.kserve import KServeSource, kserve_routes
from sentryml_tap.sender import Sender
from sentryml_tap.settings import TapSettings
from sentryml_tap.topics import TopicReader


def create_app(source: KServeSource | None) -> FastAPI:
    """The HTTP application."""
    app = FastAPI(title="SentryML tap", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    if source is not None:
        app.include_router(kserve_routes(source))
    return app


def main() -> None:
    """Run the tap until a signal."""
    settings, health = load_settings_or_exit(TapSettings), Health()
    sender = Sender(target(settings.tap_ingest_url, settings.api_key), health)
    source = KServeSource(sender, system_clock, settings.tap_max_body_bytes) if settings.tap_kserve else None

    async def work() -> None:
        health.ready("start")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(sender.watch())
                if settings.topics:
                    tasks.create_task(TopicReader(settings, sender, health).run())
        finally:
            sender.close()

    run(Service("sentryml_tap", settings, create_app(source), health, work))

"""Wiring of ingest."""

from __future__ import annotations

import asyncio

import uvloop
from fastapi import FastAPI

from sentryml_common.clock import system_clock
from sentryml_common.contracts.api_key import ApiKey, Scope
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.prediction import PredictionEvent
from sentryml_common.contracts.topics import API_KEYS, MONITORS
from sentryml_common.health import Health
from sentryml_common.http.access import Gatekeeper
from sentryml_common.http.api_page import install_api_page
from sentryml_common.http.openapi import install_openapi
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.key_usage import KeyUsage, publish_usage
from sentryml_common.processes import is_one_of_several, run_several
from sentryml_common.service import Service, run
from sentryml_common.settings import load_settings_or_exit
from sentryml_ingest.domain.key_limits import KeyLimits
from sentryml_ingest.http.events import EventsEndpoint, columns_schema, event_routes
from sentryml_ingest.http.gateway import Gateway
from sentryml_ingest.publisher import EventPublisher
from sentryml_ingest.settings import IngestSettings


def create_app(gateway: Gateway) -> FastAPI:
    """The HTTP application, whose OpenAPI describes the body, since the route parses it without the framework."""
    app = FastAPI(
        title="SentryML ingest", version="1", description="Send prediction events.", docs_url=None, redoc_url=None
    )
    app.include_router(event_routes(gateway))
    schemas = {"PredictionEvent": PredictionEvent.model_json_schema(), "PredictionColumns": columns_schema()}
    install_openapi(app, **schemas)
    install_api_page(app)
    return app


def limits_of(settings: IngestSettings) -> KeyLimits:
    """The limits of API keys as they are set."""
    return KeyLimits(
        events_per_second=settings.key_events_per_second,
        bytes_per_second=settings.key_bytes_per_second,
        new_models_per_hour=settings.key_new_models_per_hour,
    )


def main() -> None:
    """Run ingest until a signal, in one process or several."""
    settings = load_settings_or_exit(IngestSettings)
    if settings.ingest_processes > 1 and not is_one_of_several():
        run_several("sentryml_ingest", settings, settings.ingest_processes)
    run(service_of(settings))


def service_of(settings: IngestSettings) -> Service:
    """Ingest as one process."""
    health = Health()
    keys, monitors, usage = Follower(API_KEYS, ApiKey), Follower(MONITORS, Monitor), KeyUsage("ingest")
    publisher = EventPublisher(settings.publish_seconds)
    gatekeeper = Gatekeeper(keys, Scope.EVENTS_WRITE, system_clock, usage)
    gateway = Gateway(settings, gatekeeper, monitors, limits_of(settings), publisher, system_clock)

    async def work() -> None:
        await ensure_topics(settings, health)
        async with open_publisher(settings, health) as kafka, asyncio.TaskGroup() as tasks:
            publisher.connect(kafka)
            tasks.create_task(keys.run(settings, health))
            tasks.create_task(monitors.run(settings, health))
            tasks.create_task(usage.publish_forever(publish_usage(kafka)))
            await keys.caught_up.wait()  # until then nobody is let in
            await monitors.caught_up.wait()
            health.ready("start")

    app, endpoint = create_app(gateway), EventsEndpoint(gateway)
    return Service(
        "sentryml_ingest", settings, app, health, work, loop_factory=uvloop.new_event_loop, endpoint=endpoint
    )

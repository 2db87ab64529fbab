"""Wiring: the two processes of the drift service."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from fastapi import FastAPI

from sentryml_common.clock import system_clock
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.reference import Reference
from sentryml_common.contracts.topics import (
    HISTOGRAMS,
    MONITORS,
    PREDICTIONS,
    PROCESSOR_APP,
    REFERENCES,
    TABLE_CHANGELOG,
)
from sentryml_common.health import Health
from sentryml_common.http.internal import InternalAccess
from sentryml_common.kafka.dead_letter import DeadLetters
from sentryml_common.kafka.epochs import TopicIncarnation
from sentryml_common.kafka.follower import Follower
from sentryml_common.kafka.group_offsets import committed_offsets
from sentryml_common.kafka.ownership import watch_owners
from sentryml_common.kafka.producer import open_publisher
from sentryml_common.kafka.topic_ids import open_topic_ids
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.service import Service, run
from sentryml_common.settings import load_settings_or_exit
from sentryml_drift.combiner.loop import Combiner, group_of
from sentryml_drift.combiner.stored_ids import stored_ids
from sentryml_drift.domain.chunks import ChunkRules
from sentryml_drift.domain.rows import PaneRules
from sentryml_drift.evaluation.evaluator import Evaluator
from sentryml_drift.evaluation.recomputer import Recomputer
from sentryml_drift.evaluation.reporter import Reporter
from sentryml_drift.http.recomputing import Recomputing, recomputing_routes
from sentryml_drift.metrics import OF_COMBINER, OF_PROCESSOR, leave_out
from sentryml_drift.processor.faust_app import make_app, run_app
from sentryml_drift.processor.faust_input import FaustInput
from sentryml_drift.processor.housekeeping import Housekeeping
from sentryml_drift.processor.loop import Processor
from sentryml_drift.processor.retention import Retention
from sentryml_drift.settings import DriftSettings
from sentryml_drift.state.local_copy import sole_user_of
from sentryml_drift.state.table import open_table
from sentryml_statistics.time.panes import PaneGrid


def run_combiner() -> None:
    """Run the combiner until a signal."""
    settings, health = load_settings_or_exit(DriftSettings), Health()
    leave_out(OF_PROCESSOR)

    async def work() -> None:
        await ensure_topics(settings, health)
        async with open_topic_ids(settings, health) as ids, open_publisher(settings, health) as publisher:
            incarnation = await TopicIncarnation.begin(PREDICTIONS, ids, settings, health)
            rules = ChunkRules(
                PaneRules(
                    grid=PaneGrid(settings.fine_pane_seconds),
                    longest_window_seconds=settings.longest_window_seconds,
                    future_limit_seconds=settings.future_limit_seconds,
                ),
                epoch=incarnation.epoch,
            )
            letters = DeadLetters("drift-combiner", publisher)
            committed = partial(committed_offsets, group_of(incarnation.epoch), settings, health)
            stored = partial(stored_ids, settings=settings, health=health)
            combiner = Combiner(settings, rules, incarnation, publisher, letters, committed, stored)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(
                    watch_owners(group_of(incarnation.epoch), PREDICTIONS, settings, health, settings.stall_seconds)
                )
                tasks.create_task(combiner.run(health))

    run(
        Service(
            "sentryml_drift.combiner",
            settings,
            FastAPI(title="SentryML drift combiner", openapi_url=None),
            health,
            work,
        )
    )


def run_processor() -> None:
    """Run the processor until a signal."""
    settings, health = load_settings_or_exit(DriftSettings), Health()
    leave_out(OF_COMBINER)
    http, recomputing = FastAPI(title="SentryML drift processor", openapi_url=None), Recomputing()
    if settings.internal_secret is not None:
        http.include_router(recomputing_routes(recomputing, InternalAccess(settings.internal_secret, system_clock)))

    async def work() -> None:
        await ensure_topics(settings, health)
        grid = PaneGrid(settings.fine_pane_seconds)
        async with AsyncExitStack() as stack:
            if settings.store == "rocksdb":
                stack.enter_context(sole_user_of(settings.state_dir))
            ids = await stack.enter_async_context(open_topic_ids(settings, health))
            publisher = await stack.enter_async_context(open_publisher(settings, health))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            incarnation = await TopicIncarnation.begin(HISTOGRAMS, ids, settings, health)
            changelog_id = (await ids.wait_for_ids(settings, health, TABLE_CHANGELOG.name))[TABLE_CHANGELOG.name]
            tasks.create_task(incarnation.watch())
            monitors, references = await _follow(tasks, settings, health)
            retention = Retention(grid, monitors.current.get)
            stream = FaustInput(make_app(settings), settings.prefixed(HISTOGRAMS.name), settings.batch_seconds)
            processor = Processor(
                stream,
                partial(
                    open_table, settings=settings, epoch=incarnation.epoch, changelog_id=changelog_id, health=health
                ),
                DeadLetters("drift-processor", publisher),
                retention,
                health,
            )
            stream.connect(processor)
            housekeeping = Housekeeping(processor, retention)
            evaluator = Evaluator(
                processor, monitors.current.get, monitors.published.get, references.current.get, grid, settings
            )
            reporter = Reporter(processor, grid, publisher, settings)
            recomputing.recomputer = Recomputer(processor, retention, grid, settings)
            tasks.create_task(
                run_app(stream, processor, housekeeping, monitors.deleted, health, settings.stall_seconds)
            )
            tasks.create_task(watch_owners(PROCESSOR_APP, HISTOGRAMS, settings, health, settings.stall_seconds))
            tasks.create_task(evaluator.run())
            tasks.create_task(reporter.run())

    run(Service("sentryml_drift.processor", settings, http, health, work))


async def _follow(
    tasks: asyncio.TaskGroup, settings: DriftSettings, health: Health
) -> tuple[Follower[Monitor], Follower[Reference]]:
    """The monitors and references of all models, once they have been read to the end."""
    monitors, references = Follower(MONITORS, Monitor), Follower(REFERENCES, Reference)
    for follower in (monitors, references):
        tasks.create_task(follower.run(settings, health))
        await follower.caught_up.wait()
    return monitors, references

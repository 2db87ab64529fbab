"""Evaluations through the service, as a process with a real Kafka and a PostgreSQL that writes to disk, beside bare
INSERTs of the same rows by asyncpg in the same minute."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

import asyncpg
import orjson
import psutil
from aiokafka import AIOKafkaProducer

from bench.incidents.service import Incidents
from bench.report import Figure, cpu_of, say
from sentryml_common.clock import system_clock
from sentryml_common.contracts.evaluation import Evaluation, Level, RangeBin, Signal, SignalEvaluation, Window
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import EVALUATIONS
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.settings import KafkaSettings
from sentryml_statistics.comparison.evaluation import evaluation_id

MODELS, ROUNDS = 10_000, 4
DRIFTING = 0.01
BINS = 10
BARE_SINGLE, BARE_BATCH = 2_000, 500
INSERT = """
    INSERT INTO bare (evaluation_id, model_id, monitor_version, evaluated_at, level, baseline, current, signals)
    VALUES ($1, $2, 1, $3, $4, $5, $6, $7)
    """


def evaluations(start: datetime) -> Iterator[Evaluation]:
    """Every model once a minute; one in a hundred drifts from its second evaluation on."""
    rng = random.Random(1)
    drifting = {number for number in range(MODELS) if rng.random() < DRIFTING}
    for minute in range(ROUNDS):
        for number in range(MODELS):
            drifts = minute > 0 and number in drifting
            yield an_evaluation(f"model-{number:05}", start + timedelta(minutes=minute), drifts=drifts)


def an_evaluation(model_id: str, at: datetime, *, drifts: bool) -> Evaluation:
    """An evaluation as drift makes it of a model with numbers for both signals."""
    day, week = timedelta(days=1), timedelta(days=7)
    level, psi = (Level.CRITICAL, 0.41) if drifts else (Level.OK, 0.021)
    return Evaluation(
        evaluation_id=evaluation_id(model_id, 1, 0, at), model_id=model_id, monitor_version=1, evaluated_at=at,
        level=level, reason=None,
        baseline=Window(start=at - day - week, end=at - day, coverage=1.0),
        current=Window(start=at - day, end=at, coverage=1.0),
        signals=tuple(_signal(signal, level, psi) for signal in Signal),
    )  # fmt: skip


def _signal(signal: Signal, level: Level, psi: float) -> SignalEvaluation:
    bins = tuple(
        RangeBin(lower=number / BINS, upper=(number + 1) / BINS, baseline_share=1 / BINS, current_share=1 / BINS,
                 contribution=psi / BINS)
        for number in range(BINS)
    )  # fmt: skip
    return SignalEvaluation(
        signal=signal, level=level, psi=psi, baseline_count=604_800, current_count=86_400, noise_floor=0.0003,
        warn_at=0.1, critical_at=0.2, p_value=0.4, overlap=0.97, bins=bins,
    )  # fmt: skip


async def measure(service: Incidents) -> list[Figure]:
    """Fill the topic, start the service, and time how it empties it."""
    count = MODELS * ROUNDS
    say(f"{count:,} evaluations of {MODELS:,} models go into Kafka")
    await _fill(service.kafka, evaluations(system_clock() - timedelta(minutes=ROUNDS)))
    with service.running() as process:
        rate, cores = await _drain(service, psutil.Process(process.pid), count)
    say("bare INSERTs of the same rows")
    rows = [_row(each) for each in islice(evaluations(system_clock()), count)]
    single, batched = await _bare(service.postgres, rows)
    return [
        Figure("evaluations/s, beside one INSERT and one commit each", rate, single, rate / single),
        Figure(f"evaluations/s, beside INSERTs of {BARE_BATCH} to a commit", rate, batched, rate / batched),
        Figure("cores that the service used", cores),
    ]


async def _fill(kafka: str, found: Iterator[Evaluation]) -> None:
    await ensure_topics(KafkaSettings(kafka_bootstrap=kafka), Health())
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="lz4", linger_ms=20, max_batch_size=262_144
    ) as producer:
        for evaluation in found:
            await producer.send(EVALUATIONS.name, encode(evaluation), evaluation.model_id.encode())
        await producer.flush()


async def _drain(service: Incidents, process: psutil.Process, count: int) -> tuple[float, float]:
    """(evaluations a second, cores used), from the end of the first round, in which models are registered, on."""
    connection = await asyncpg.connect(service.postgres)
    try:
        await _wait(connection, MODELS)
        began, cpu, done = time.perf_counter(), cpu_of(process), await _taken(connection)
        await _wait(connection, count)
        seconds = time.perf_counter() - began
        return (count - done) / seconds, (cpu_of(process) - cpu) / seconds
    finally:
        await connection.close()


async def _wait(connection: asyncpg.Connection[asyncpg.Record], count: int) -> None:
    said = 0.0
    while (taken := await _taken(connection)) < count:
        if time.monotonic() - said > 5:
            said = time.monotonic()
            say(f"  {taken:,} taken in")
        await asyncio.sleep(0.1)


async def _taken(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    if await connection.fetchval("SELECT to_regclass('incidents.evaluation')") is None:
        return 0
    return int(await connection.fetchval("SELECT count(*) FROM incidents.evaluation"))


def _row(evaluation: Evaluation) -> tuple[object, ...]:
    baseline, current = (
        orjson.dumps(w.model_dump(mode="json")).decode() for w in (evaluation.baseline, evaluation.current)
    )
    signals = orjson.dumps([each.model_dump(mode="json", exclude={"bins"}) for each in evaluation.signals]).decode()
    return (evaluation.evaluation_id, evaluation.model_id, evaluation.evaluated_at, evaluation.level, baseline, current, signals)  # fmt: skip # noqa: E501


async def _bare(postgres: str, rows: list[tuple[object, ...]]) -> tuple[float, float]:
    """Rows a second, one to a commit, and many."""
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute("CREATE TABLE bare AS SELECT * FROM incidents.evaluation LIMIT 0")
        await connection.execute("ALTER TABLE bare ADD PRIMARY KEY (model_id, evaluated_at, evaluation_id)")
        began = time.perf_counter()
        for row in rows[:BARE_SINGLE]:
            await connection.execute(INSERT, *row)
        single = BARE_SINGLE / (time.perf_counter() - began)
        began = time.perf_counter()
        for start in range(BARE_SINGLE, len(rows), BARE_BATCH):
            async with connection.transaction():
                await connection.executemany(INSERT, rows[start : start + BARE_BATCH])
        return single, (len(rows) - BARE_SINGLE) / (time.perf_counter() - began)
    finally:
        await connection.close()

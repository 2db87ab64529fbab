"""Real Kafka and PostgreSQL for tests: ours from packages, containers, or servers that are there already.

(default)                                            the local stack's Kafka and PostgreSQL, on free ports
SENTRYML_TEST_WITH=docker                            testcontainers, where there is a Docker engine
SENTRYML_TEST_KAFKA=… SENTRYML_TEST_POSTGRES=…       these servers
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sentryml_local.stack import Options, Stack
from tests.support.ports import free_port_base


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they listen."""

    kafka: str
    postgres: str


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Kafka and PostgreSQL, as the environment asks for them."""
    kafka, postgres = os.environ.get("SENTRYML_TEST_KAFKA"), os.environ.get("SENTRYML_TEST_POSTGRES")
    if kafka and postgres:
        yield Servers(kafka, postgres)
    elif os.environ.get("SENTRYML_TEST_WITH") == "docker":
        yield from _containers()
    else:
        yield from _local(folder)


def _local(folder: Path) -> Iterator[Servers]:
    stack = Stack(folder, Options(port_base=free_port_base(), only=("kafka", "postgres"), durable=False))
    try:
        stack.up()
        environment = stack.environment()
        yield Servers(environment["SENTRYML_KAFKA_BOOTSTRAP"], environment["SENTRYML_POSTGRES_URL"])
    finally:
        stack.down()


def _containers() -> Iterator[Servers]:
    from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - needs a Docker engine
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

    with KafkaContainer("apache/kafka:4.1.0") as kafka, PostgresContainer("postgres:18", driver=None) as postgres:
        yield Servers(kafka.get_bootstrap_server(), postgres.get_connection_url())

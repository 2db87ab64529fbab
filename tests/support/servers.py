"""Real Kafka and PostgreSQL for tests: ours from packages, containers, or servers that are there already.

(default)                                            the local stack's Kafka and PostgreSQL, on free ports
SENTRYML_TEST_WITH=docker                            testcontainers, where there is a Docker engine
SENTRYML_TEST_KAFKA=… SENTRYML_TEST_POSTGRES=…       these servers
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sentryml_local.stack import Options, Stack
from tests.support.ports import free_port_base


@contextmanager
def a_kafka() -> Iterator[str]:
    """The address of a Kafka, as the environment asks for it."""
    if given := os.environ.get("SENTRYML_TEST_KAFKA"):
        yield given
    elif _in_containers():
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - needs a Docker engine

        with KafkaContainer("apache/kafka:4.1.0") as kafka:
            yield kafka.get_bootstrap_server()
    else:
        with _local("kafka") as environment:
            yield environment["SENTRYML_KAFKA_BOOTSTRAP"]


@contextmanager
def a_postgres() -> Iterator[str]:
    """The address of a PostgreSQL, likewise."""
    if given := os.environ.get("SENTRYML_TEST_POSTGRES"):
        yield given
    elif _in_containers():
        from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

        with PostgresContainer("postgres:18", driver=None) as postgres:
            yield postgres.get_connection_url()
    else:
        with _local("postgres") as environment:
            yield environment["SENTRYML_POSTGRES_URL"]


def _in_containers() -> bool:
    return os.environ.get("SENTRYML_TEST_WITH") == "docker"


@contextmanager
def _local(server: str) -> Iterator[dict[str, str]]:
    # Not in pytest's own folder: each run of pytest closes that to others, and PostgreSQL runs as another user.
    with TemporaryDirectory(prefix=f"sentryml-{server}-") as folder:
        stack = Stack(Path(folder), Options(port_base=free_port_base(), only=(server,), durable=False))
        try:
            stack.up()
            yield stack.environment()
        finally:
            stack.down()

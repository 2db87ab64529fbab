"""How any aiokafka client reaches Kafka: addresses, SASL, TLS; and starting one that may have to wait."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.helpers import create_ssl_context

from sentryml_common.http.health import Health
from sentryml_common.settings import KafkaSettings
from sentryml_common.waiting import wait_for


class Client(Protocol):
    """What producers, consumers and admin clients of aiokafka have in common; `stop` and `close` differ."""

    async def start(self) -> None: ...


C = TypeVar("C", bound=Client)


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments that every aiokafka client takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl_context(settings),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_password.get_secret_value() if settings.kafka_password else None
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": password,
        }
    return options


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context: ssl.SSLContext = create_ssl_context(cafile=settings.kafka_ca_file)
    return context


async def start_client(make: Callable[[], C], settings: KafkaSettings, health: Health) -> C:
    """Make and start a client, waiting for Kafka as long as it takes.

    A client that failed to start cannot be started again, so each attempt makes a new one.
    """

    async def attempt() -> C:
        client = make()
        try:
            await client.start()
        except BaseException:
            await _discard(client)
            raise
        return client

    return await wait_for(
        "kafka", settings.kafka_bootstrap, attempt, health, (KafkaConnectionError, KafkaError, OSError)
    )


async def _discard(client: Any) -> None:
    stop = client.stop if hasattr(client, "stop") else client.close
    await stop()

"""How any aiokafka client reaches Kafka: addresses, SASL, TLS; and starting and asking one that may have to wait."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from inspect import isclass
from typing import Any, Protocol, TypeGuard, TypeVar, cast

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from aiokafka.helpers import create_ssl_context

from sentryml_common.errors import ConfigurationError
from sentryml_common.health import Health
from sentryml_common.settings import KafkaSettings
from sentryml_common.waiting import wait_for


class Client(Protocol):
    """What producers, consumers and admin clients of aiokafka have in common; `stop` and `close` differ."""

    async def start(self) -> None: ...


C = TypeVar("C", bound=Client)
T = TypeVar("T")

ANY: tuple[type[BaseException], ...] = (KafkaConnectionError, KafkaError, OSError)
"""What a client raises that does not start: a service that waits for Kafka waits until that is fixed."""


def _is_temporary(error: object) -> TypeGuard[type[BaseException]]:
    return isclass(error) and issubclass(error, KafkaError) and bool(cast(Any, error).retriable)


NOT_NOW: tuple[type[BaseException], ...] = (OSError, KafkaTimeoutError, *filter(_is_temporary, vars(errors).values()))
"""What a client raises while Kafka does not answer, or not yet: by aiokafka's own word, trying again helps."""


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
    return await wait_for("kafka", settings.kafka_bootstrap, lambda: _start(make), health, ANY)


async def ask(answer: Callable[[], Awaitable[T]], settings: KafkaSettings, health: Health) -> T:
    """What Kafka answers, waiting for it as long as it takes: it may take connections and say nothing.

    Raises:
        ConfigurationError: it refuses, and trying again would not help.
    """
    return await wait_for("kafka", settings.kafka_bootstrap, lambda: _unless_refused(answer()), health, NOT_NOW)


async def ask_with_client(
    make: Callable[[], C], use: Callable[[C], Awaitable[T]], settings: KafkaSettings, health: Health
) -> T:
    """The same with a client that is made for each attempt, and closed."""

    async def attempt() -> T:
        client = await _start(make)
        try:
            return await _unless_refused(use(client))
        finally:
            await _discard(client)

    return await wait_for("kafka", settings.kafka_bootstrap, attempt, health, ANY)


async def ask_admin(use: Callable[[AIOKafkaAdminClient], Awaitable[T]], settings: KafkaSettings, health: Health) -> T:
    """The same with an admin client."""
    return await ask_with_client(lambda: AIOKafkaAdminClient(**client_options(settings)), use, settings, health)


async def _unless_refused(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except NOT_NOW:
        raise
    except KafkaError as err:
        raise ConfigurationError(f"Kafka refuses what is asked of it: {type(err).__name__}: {err}") from err


async def _start(make: Callable[[], C]) -> C:
    client = make()
    try:
        await client.start()
    except BaseException:
        await _discard(client)
        raise
    return client


async def _discard(client: Any) -> None:
    stop = client.stop if hasattr(client, "stop") else client.close
    await stop()

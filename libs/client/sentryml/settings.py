"""Where to send, and with what: arguments, else environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

URL_NAMES = ("SENTRYML_URL", "SENTRYML_INGEST_URL")
KEY_NAMES = ("SENTRYML_API_KEY", "SENTRYML_EVENTS_KEY")
BOOTSTRAP_NAMES = ("SENTRYML_KAFKA_BOOTSTRAP",)
API_URL_NAMES = ("SENTRYML_INCIDENTS_URL", "SENTRYML_URL")
API_KEY_NAMES = ("SENTRYML_ADMIN_KEY", "SENTRYML_API_KEY")
"""In the order in which they are looked for. With ingest and incidents behind one address, and one key, the general two
are enough; the particular ones are what `sentryml-local env` sets."""


class NotConfigured(ValueError):
    """There is no usable address or key; the text says what to set."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address, and the key for it."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class KafkaTarget:
    """A topic, and further settings of the producer."""

    bootstrap: str
    topic: str
    sender: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """For messages."""
        return f"Kafka at {self.bootstrap}"


def kafka_target(
    bootstrap: str | None, topic: str, sender: str, settings: Mapping[str, Any] | None = None
) -> KafkaTarget:
    """What was given, else what the environment says.

    Raises:
        NotConfigured: there is no address.
    """
    found = bootstrap or _from_environment(BOOTSTRAP_NAMES)
    if not found:
        names = " or ".join(BOOTSTRAP_NAMES)
        raise NotConfigured(
            f"there is no address of Kafka: give bootstrap=, or set {names}, for example localhost:9092"
        )
    return KafkaTarget(found, topic, sender, settings or {})


def target(
    url: str | None = None,
    key: str | None = None,
    *,
    url_names: tuple[str, ...] = URL_NAMES,
    key_names: tuple[str, ...] = KEY_NAMES,
) -> Target:
    """What was given, else what the environment says.

    Raises:
        NotConfigured: one of them is missing, or cannot be used.
    """
    found_url, found_key = url or _from_environment(url_names), key or _from_environment(key_names)
    if not found_url:
        raise NotConfigured(f"there is no address: set {' or '.join(url_names)}, for example http://127.0.0.1:8700")
    if not found_key:
        raise NotConfigured(f"there is no API key: set {' or '.join(key_names)} (sml_…)")
    return Target(_checked_url(found_url), _checked_key(found_key))


def _from_environment(names: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _checked_url(url: str) -> str:
    url = url.strip().rstrip("/").removesuffix("/v1/events")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # as a connection will: an empty or a long part is no name
        valid = parts.scheme in ("http", "https") and bool(host) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    printable = url.isascii() and url.isprintable() and " " not in url
    if not valid or parts.query or parts.fragment or parts.username or not printable:
        raise NotConfigured(
            f"{url!r} is no address: it looks like https://drift.example.org, without a query or a user"
        )
    return url


def _checked_key(key: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise NotConfigured("the API key holds characters that no key has: copy it again (sml_…)")
    return key

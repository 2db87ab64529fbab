"""The programs of the stack: what runs, on which port, with which settings, and how one sees that it is ready."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OFFSETS = {
    "ingest": 0,
    "incidents": 1,
    "notifier": 2,
    "combiner": 3,
    "processor": 4,
    "slack-stand-in": 5,
    "kafka": 6,
    "kafka-controller": 7,
    "postgres": 8,
}
PORTS_USED = len(OFFSETS)
PORT_BASE = 8700
WEBHOOK_PATH = "/services/T0LOCAL/B0LOCAL/stand-in"

SERVICES = {
    "slack-stand-in": ("sentryml_local.slack_stand_in",),
    "ingest": ("sentryml_ingest",),
    "combiner": ("sentryml_drift", "combiner"),
    "processor": ("sentryml_drift", "processor"),
    "incidents": ("sentryml_incidents",),
    "notifier": ("sentryml_notifier",),
}
SERVERS = ("kafka", "postgres")
ALL = (*SERVERS, *SERVICES)


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    url: str
    user: str | None = None
    stop_signal: str = "TERM"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens, from one port base."""

    port_base: int

    def port(self, name: str) -> int:
        """The port of a program."""
        return self.port_base + OFFSETS[name]

    def http(self, name: str) -> str:
        """The HTTP address of a program."""
        return f"http://127.0.0.1:{self.port(name)}"

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap address."""
        return f"127.0.0.1:{self.port('kafka')}"

    @property
    def webhook(self) -> str:
        """The stand-in's incoming webhook."""
        return self.http("slack-stand-in") + WEBHOOK_PATH


def service_programs(addresses: Addresses, folder: Path, settings: Mapping[str, str]) -> list[Program]:
    """Our services, with `settings` common to all of them."""
    return [
        Program(
            name,
            (sys.executable, "-m", *module),
            addresses.http(name),
            environment={
                **settings,
                "SENTRYML_HTTP_PORT": str(addresses.port(name)),
                "SENTRYML_STATE_DIR": str(folder / "state" / name),
                "SENTRYML_STAND_IN_FILE": str(folder / "slack-messages.jsonl"),
            },
        )
        for name, module in SERVICES.items()
    ]

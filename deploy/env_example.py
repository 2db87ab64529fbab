"""Writes `.env.example` from the settings of the services: `python deploy/env_example.py > .env.example`.

The settings are described in one place, the code; a test holds the file to it.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from sentryml_common.settings import PREFIX, InternalSettings, PostgresSettings, ServiceSettings
from sentryml_drift.settings import DriftSettings
from sentryml_incidents.settings import IncidentsSettings
from sentryml_ingest.settings import IngestSettings
from sentryml_notifier.settings import NotifierSettings
from sentryml_tap.settings import TapSettings

WIDTH = 118
SECTIONS: dict[str, type[BaseSettings]] = {
    "All services": ServiceSettings,
    "Services with PostgreSQL: incidents, notifier": PostgresSettings,
    "Services that ask each other: drift, incidents, notifier": InternalSettings,
    "ingest": IngestSettings,
    "drift: combiner and processor": DriftSettings,
    "incidents": IncidentsSettings,
    "notifier": NotifierSettings,
    "tap: runs with COMPOSE_PROFILES=tap (docs/tap.md)": TapSettings,
}
SET_BY_THE_IMAGE = {"http_host", "http_port", "state_dir"}
NEEDED = ("internal_secret", "secrets_keys")
"""What pages and channels need, though a service starts without."""
OTHER_IN_CONTAINERS = {
    "kafka_bootstrap": "kafka:9092",
    "trusted_proxies": "127.0.0.1,${GATEWAY:-172.30.87.1}",
    "postgres_url": "postgresql://sentryml:${POSTGRES_PASSWORD}@postgres:5432/sentryml",
    "public_url": "http://127.0.0.1:8701",
    "ingest_url": "http://127.0.0.1:8700",
    "ingest_internal_url": "http://ingest:8080",
    "processor_urls": "http://processor:8080",
    "incidents_url": "http://incidents:8080",
    "notifier_url": "http://notifier:8080",
    "tap_ingest_url": "http://ingest:8080",
}

HEAD = """\
# Settings of the system in containers (docker-compose.yml). Copy this file to .env, and change there what you need.
# Made by deploy/env_example.py from the settings of the services; shown are the defaults.

# ---- Needed: without them nothing starts. A new value for each: `openssl rand -hex 32`

# Password of PostgreSQL's user. Letters and digits, since it becomes part of an address.
POSTGRES_PASSWORD=

{needed}
# ---- Of Docker Compose

# Network of the containers, and the address in it through which published ports are reached. Change both where another
# network has these addresses.
#SUBNET=172.30.87.0/24
#GATEWAY=172.30.87.1

# What is installed into the notifier beside the usual, for example apprise (docs/channels.md).
#EXTRAS=

# ---- To try it without Slack: the three lines together; messages are then shown on http://127.0.0.1:8705

#COMPOSE_PROFILES=stand-in
#SENTRYML_SLACK_WEBHOOK_URL=http://slack-stand-in:8080/services/T0LOCAL/B0LOCAL/stand-in
#SENTRYML_ALLOWED_HOSTS=slack-stand-in:8080
"""


def fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """(section, name, field) of every setting, each under the first section that has it."""
    seen = {*SET_BY_THE_IMAGE, *NEEDED}
    for section, settings in SECTIONS.items():
        for name, field in settings.model_fields.items():
            if name not in seen:
                seen.add(name)
                yield section, name, field


def descriptions(name: str) -> list[str]:
    """What all sections say about a setting; services may share one and say different things of it."""
    found = [section.model_fields[name].description for section in SECTIONS.values() if name in section.model_fields]
    return list(dict.fromkeys(text for text in found if text))


def comment(name: str) -> str:
    """The descriptions, as comments."""
    filled = [textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ") for text in descriptions(name)]
    return "\n".join(filled)


def shown(name: str, field: FieldInfo) -> str:
    """A default as it is written in the file; nothing for none."""
    value = OTHER_IN_CONTAINERS.get(name, field.default)
    if value is None or isinstance(value, SecretStr):
        return ""
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:.15g}" if isinstance(value, float) else str(value)
    )


def render() -> str:
    """The file."""
    needed = "\n".join(f"{comment(name)}\n{PREFIX}{name.upper()}=\n" for name in NEEDED)
    lines, last = [HEAD.replace("{needed}", needed)], ""
    for section, name, field in fields():
        if section != last:
            lines.append(f"# ---- {section}\n")
            last = section
        lines.append(f"{comment(name)}\n#{PREFIX}{name.upper()}={shown(name, field)}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render())

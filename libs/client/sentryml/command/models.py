"""`sentryml models`: every model, what was last found, and when it was last seen."""

from __future__ import annotations

import argparse
from typing import Any

from sentryml.command.api import Api
from sentryml.command.terminal import OK, Terminal

HEADINGS = ("model", "level", "PSI", "last seen", "incident")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """List models."""
    api = Api(arguments.url)
    try:
        query = {"search": arguments.search, "level": arguments.level}
        found = list(api.items("/v1/models", arguments.limit, **query))
    finally:
        api.close()
    terminal.result(found)
    if found:
        terminal.table(HEADINGS, [_row(model) for model in found])
    else:
        terminal.say("No model yet: send an event, and it is here some seconds later.")
    return OK


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    incident = model["incident"]
    shown = f"{incident['state']} #{incident['incident_number']} ({incident['severity']})" if incident else "–"
    return model["model_id"], _level(model), number(model["psi"]), model["last_seen"][:19] + "Z", shown


def _level(model: dict[str, Any]) -> str:
    return level(model) if model["enabled"] else "not watched"


def level(found: dict[str, Any]) -> str:
    """A level, and the reason where there is none."""
    reason = f" ({found['reason'].replace('_', ' ')})" if found["reason"] else ""
    return f"{(found['level'] or 'not evaluated yet').replace('_', ' ')}{reason}"


def number(value: float | None) -> str:
    """A PSI, to three places."""
    return "–" if value is None else f"{value:.3f}"

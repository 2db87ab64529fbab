"""`sentryml models`: every model, what was last found, and when it was last seen."""

from __future__ import annotations

import argparse
from typing import Any

from sentryml.command.api import Api
from sentryml.command.terminal import OK, Terminal

HEADINGS = ("model", "level", "PSI", "last seen", "incident")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """List models."""
    with Api(arguments.url) as api:
        found = list(api.items("/v1/models", arguments.limit, search=arguments.search, level=arguments.level))
    terminal.result(found)
    if found:
        terminal.table(HEADINGS, [_row(model) for model in found])
    else:
        terminal.say("No model yet: send an event, and it is here some seconds later.")
    return OK


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    incident = model["incident"]
    shown = f"{incident['state']} #{incident['incident_number']} ({incident['severity']})" if incident else "–"
    found = level(model) if model["enabled"] else "not watched"
    return model["model_id"], found, number(model["psi"]), to_the_second(model["last_seen"]), shown


def level(found: dict[str, Any]) -> str:
    """A level, and the reason where there is none."""
    reason = f" ({found['reason'].replace('_', ' ')})" if found["reason"] else ""
    return f"{(found['level'] or 'not evaluated yet').replace('_', ' ')}{reason}"


def number(value: float | None) -> str:
    """A PSI, to three places."""
    return "–" if value is None else f"{value:.3f}"


def to_the_second(time: str) -> str:
    """A time of the API, without the rest of its second."""
    return f"{time[:19]}Z"

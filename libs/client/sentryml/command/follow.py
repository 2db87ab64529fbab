"""`sentryml tail` and `sentryml incidents follow`: a line for each thing that happens, until Ctrl-C."""

from __future__ import annotations

import argparse
from contextlib import closing, suppress
from typing import Any

from sentryml.command.incidents import what_happened
from sentryml.command.models import level, number, to_the_second
from sentryml.command.stream import Stream
from sentryml.command.terminal import INTERRUPTED, Terminal

KINDS = ("transition", "evaluation", "model")
WIDTHS = (20, 24, 18, 8)


def tail(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Steps of incidents, evaluations, and new models."""
    return _follow(arguments, arguments.kind or KINDS, terminal)


def follow(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Steps of incidents alone."""
    return _follow(arguments, KINDS[:1], terminal)


def _follow(arguments: argparse.Namespace, kinds: tuple[str, ...], terminal: Terminal) -> int:
    followed = Stream(arguments.url, terminal.warn, kind=kinds, model=arguments.model)
    with closing(followed) as stream, suppress(KeyboardInterrupt):
        for kind, event in stream.events():
            terminal.event({"event": kind, **event})
            terminal.row(_cells(kind, event), WIDTHS)
    return INTERRUPTED


def _cells(kind: str, event: dict[str, Any]) -> tuple[str, ...]:
    if kind == "transition":
        number_of = f"#{event['incident_number']}"
        return to_the_second(event["at"]), event["model_id"], event["to"]["severity"], number_of, what_happened(event)
    if kind == "evaluation":
        return to_the_second(event["evaluated_at"]), event["model_id"], level(event), number(event["psi"])
    if kind == "model":
        return to_the_second(event["first_seen"]), event["model_id"], "new model", ""
    return "", "", kind, "", str(event.get("reason", ""))

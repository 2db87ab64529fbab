"""`sentryml tail` and `sentryml incidents follow`: a line for each thing that happens, until Ctrl-C."""

from __future__ import annotations

import argparse
from typing import Any

from sentryml.command.models import level, number
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
    stream = Stream(arguments.url, terminal.warn, kind=kinds, model=arguments.model)
    try:
        for kind, event in stream.events():
            terminal.event({"event": kind, **event})
            terminal.row(_cells(kind, event), WIDTHS)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        stream.close()
    return INTERRUPTED


def _cells(kind: str, event: dict[str, Any]) -> tuple[str, ...]:
    if kind == "transition":
        number_of, text = f"#{event['incident_number']}", event.get("text") or {}
        what = text.get("headline") or event["kind"].replace("_", " ")
        note = f" (note: {event['note']})" if event.get("note") else ""
        return _time(event["at"]), event["model_id"], event["to"]["severity"], number_of, what + note
    if kind == "evaluation":
        return _time(event["evaluated_at"]), event["model_id"], level(event), number(event["psi"])
    if kind == "model":
        return _time(event["first_seen"]), event["model_id"], "new model", ""
    return "", "", kind, "", str(event.get("reason", ""))


def _time(text: str) -> str:
    return text[:19] + "Z"

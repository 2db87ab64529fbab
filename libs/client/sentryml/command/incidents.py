"""`sentryml incidents`: list them, show one with its timeline, acknowledge."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from sentryml.command.api import Api
from sentryml.command.models import number
from sentryml.command.terminal import OK, Terminal

HEADINGS = ("incident", "state", "severity", "model", "PSI", "opened")
LIVE = ("open", "acknowledged")


def list_all(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """List incidents, newest first: the live ones, unless states are named."""
    states = None if arguments.all else (arguments.state or LIVE)
    api = Api(arguments.url)
    try:
        query = {"state": states, "severity": arguments.severity, "model": arguments.model}
        found = list(api.items("/v1/incidents", arguments.limit, **query))
    finally:
        api.close()
    terminal.result(found)
    if found:
        terminal.table(HEADINGS, [_row(incident) for incident in found])
    else:
        terminal.say("No incident." if arguments.all else "No live incident; --all lists those that are over, too.")
    return OK


def show(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show one, with its timeline."""
    api, path = Api(arguments.url), _path(arguments)
    try:
        incident = api.get(path)
        timeline = list(api.items(f"{path}/timeline", 1_000))
    finally:
        api.close()
    terminal.result({**incident, "timeline": timeline})
    terminal.table(HEADINGS, [_row(incident)])
    terminal.say()
    terminal.table(("at", "by", "what"), [_step(each) for each in timeline])
    if timeline and (text := timeline[-1].get("text")):
        terminal.say("\n" + "\n".join(text["next"]))
    terminal.say(f"\nActions: {', '.join(incident['allowed']) or 'none'}\n{incident['incident_url']}")
    return OK


def acknowledge(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Acknowledge one."""
    api = Api(arguments.url)
    try:
        incident = api.post(f"{_path(arguments)}/acknowledge", {"note": arguments.note} if arguments.note else {})
    finally:
        api.close()
    terminal.result(incident)
    terminal.say(f"Incident {incident['incident_number']} is {incident['state']}. It alerts again when it gets worse.")
    return OK


def _path(arguments: argparse.Namespace) -> str:
    return f"/v1/incidents/{quote(arguments.incident.removeprefix('#'), safe='')}"


def _row(incident: dict[str, Any]) -> tuple[str, ...]:
    opened = incident["opened_at"][:19] + "Z"
    head = f"#{incident['incident_number']}", incident["state"], incident["severity"]
    return *head, incident["model_id"], number(incident["psi"]), opened


def _step(transition: dict[str, Any]) -> tuple[str, ...]:
    text = transition.get("text") or {}
    what = text.get("headline") or transition["kind"].replace("_", " ")
    note = f" (note: {transition['note']})" if transition.get("note") else ""
    return transition["at"][:19] + "Z", transition["actor"]["name"], what + note

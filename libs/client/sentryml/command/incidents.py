"""`sentryml incidents`: list them, show one with its timeline, act on them."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from sentryml.command.api import Api, Refused
from sentryml.command.models import number, to_the_second
from sentryml.command.terminal import FAILED, OK, Terminal

HEADINGS = ("incident", "state", "severity", "model", "PSI", "opened")
LIVE = ("open", "acknowledged")
ACTIONS = {
    "ack": ("acknowledge", "acknowledge: you have seen it; alerts are not muted"),
    "unack": ("unacknowledge", "take an acknowledgement back"),
    "close": ("close", "close what was acknowledged or has resolved"),
    "accept": ("accept", "accept a lasting change as the new normal"),
    "was-normal": ("was-normal", "say that it was normal: a sale, a holiday, a false alarm"),
    "undo": ("undo", "take accept or was-normal back"),
    "note": ("notes", "write a note on the timeline"),
}
"""What each is called in the API, and what it does."""
SAYS = {
    "acknowledge": " It alerts again when it gets worse.",
    "accept": " What has been since it opened is the new normal; undo takes that back.",
    "was-normal": " Its time counts as normal; undo takes that back.",
}


def list_all(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """List incidents, newest first: the live ones, unless states are named."""
    states = None if arguments.all else (arguments.state or LIVE)
    query = {"state": states, "severity": arguments.severity, "model": arguments.model}
    with Api(arguments.url) as api:
        found = list(api.items("/v1/incidents", arguments.limit, **query))
    terminal.result(found)
    if found:
        terminal.table(HEADINGS, [_row(incident) for incident in found])
    else:
        terminal.say("No incident." if arguments.all else "No live incident; --all lists those that are over, too.")
    return OK


def show(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show one, with its timeline."""
    path = _path(arguments.incident)
    with Api(arguments.url) as api:
        incident = api.get(path)
        timeline = list(api.items(f"{path}/timeline", 1_000))
    terminal.result({**incident, "timeline": timeline})
    terminal.table(HEADINGS, [_row(incident)])
    terminal.say()
    terminal.table(("at", "by", "what"), [_step(each) for each in timeline])
    if timeline and (text := timeline[-1].get("text")):
        terminal.say("\n" + "\n".join(text["next"]))
    terminal.say(f"\nActions: {', '.join(incident['allowed']) or 'none'}\n{incident['incident_url']}")
    return OK


def act(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Do one thing to one incident or several; what is refused of one does not stop the others."""
    body = {name: value for name in ("note", "since") if (value := getattr(arguments, name, None))}
    done = []
    with Api(arguments.url) as api:
        for each in arguments.incident:
            try:
                incident = api.post(f"{_path(each)}/{arguments.action}", body)
            except Refused as err:
                terminal.warn(str(err))
                continue
            done.append(incident)
            more = SAYS.get(arguments.action, "")
            terminal.say(f"Incident {incident['incident_number']} is {incident['state']}.{more}")
    terminal.result(done[0] if done and len(arguments.incident) == 1 else done)
    return OK if len(done) == len(arguments.incident) else FAILED


def _path(incident: str) -> str:
    return f"/v1/incidents/{quote(incident.removeprefix('#'), safe='')}"


def _row(incident: dict[str, Any]) -> tuple[str, ...]:
    head = f"#{incident['incident_number']}", incident["state"], incident["severity"]
    return *head, incident["model_id"], number(incident["psi"]), to_the_second(incident["opened_at"])


def _step(transition: dict[str, Any]) -> tuple[str, ...]:
    return to_the_second(transition["at"]), transition["actor"]["name"], what_happened(transition)


def what_happened(transition: dict[str, Any]) -> str:
    """A step of an incident in a line, with the note of who made it."""
    text = transition.get("text") or {}
    what = str(text.get("headline") or transition["kind"].replace("_", " "))
    note = f" (note: {transition['note']})" if transition.get("note") else ""
    return what + note

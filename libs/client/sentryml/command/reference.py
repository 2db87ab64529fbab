"""`sentryml reference`: what slow drift of a model is measured against; show it, and put one from a file in force."""

from __future__ import annotations

import argparse
from urllib.parse import quote

from sentryml.command.api import Api
from sentryml.command.models import number
from sentryml.command.terminal import OK, Terminal

HEADINGS = ("signal", "level", "PSI", "warning from")


def show(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show the reference in force, and the newest comparison with it."""
    api = Api(arguments.url)
    try:
        found = api.get(f"/v1/models/{quote(arguments.model, safe='')}/reference")
    finally:
        api.close()
    terminal.result(found)
    made = "uploaded" if found["source"] == "upload" else "made of its history"
    terminal.say(f"{found['model_id']}: {found['events']:,} events, {made} {found['made_at'][:19]}Z")
    if found["comparison"]:
        signals = found["comparison"]["signals"]
        rows = [(each["signal"], each["level"], number(each["psi"]), number(each["warn_at"])) for each in signals]
        terminal.table(HEADINGS, rows)
    else:
        terminal.say("Nothing was compared with it yet.")
    return OK

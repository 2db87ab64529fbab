"""`sentryml reference`: what slow drift of a model is measured against; show it, and put one from a file in force."""

from __future__ import annotations

import argparse

from sentryml.command.api import Api, model_path
from sentryml.command.models import number, to_the_second
from sentryml.command.terminal import OK, Terminal

HEADINGS = ("signal", "level", "PSI", "warning from")


def show(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Show the reference in force, and the newest comparison with it."""
    with Api(arguments.url) as api:
        found = api.get(model_path(arguments.model, "reference"))
    terminal.result(found)
    made = "uploaded" if found["source"] == "upload" else "made of its history"
    terminal.say(f"{found['model_id']}: {found['events']:,} events, {made} {to_the_second(found['made_at'])}")
    if found["comparison"]:
        signals = found["comparison"]["signals"]
        rows = [(each["signal"], each["level"], number(each["psi"]), number(each["warn_at"])) for each in signals]
        terminal.table(HEADINGS, rows)
    else:
        terminal.say("Nothing was compared with it yet.")
    return OK

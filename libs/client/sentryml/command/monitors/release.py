"""`sentryml monitors release`: say that no file manages a monitor any more. It stays as it is."""

from __future__ import annotations

import argparse
from urllib.parse import quote

from sentryml.command.api import Api, Refused
from sentryml.command.terminal import FAILED, OK, Terminal


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Release each of the models that are named."""
    api, released, refused = Api(arguments.url), [], 0
    try:
        for model_id in arguments.models:
            try:
                api.put(f"/v1/models/{quote(model_id, safe='')}/monitor?managed_by=", {})
            except Refused as err:
                refused += 1
                terminal.warn(f"{model_id}: {err}")
                continue
            released.append(model_id)
            terminal.say(f"{model_id}: no file manages its monitor; its settings stay as they are.")
    finally:
        api.close()
    terminal.result({"released": released})
    return FAILED if refused else OK

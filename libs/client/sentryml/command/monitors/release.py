"""`sentryml monitors release`: say that no file manages a monitor any more. It stays as it is."""

from __future__ import annotations

import argparse

from sentryml.command.api import Api, Refused, model_path
from sentryml.command.terminal import FAILED, OK, Terminal


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Release each of the models that are named."""
    released = []
    with Api(arguments.url) as api:
        for model_id in arguments.models:
            try:
                api.put(f"{model_path(model_id, 'monitor')}?managed_by=", {})
            except Refused as err:
                terminal.warn(f"{model_id}: {err}")
                continue
            released.append(model_id)
            terminal.say(f"{model_id}: no file manages its monitor; its settings stay as they are.")
    terminal.result({"released": released})
    return OK if len(released) == len(arguments.models) else FAILED

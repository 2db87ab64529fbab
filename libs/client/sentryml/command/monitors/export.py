"""`sentryml monitors export`: the monitors in force as files. A file that says the same already is left as it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sentryml.command.api import Api, model_path
from sentryml.command.monitors.files import MonitorFile, default_path, differences, read_all, settings_of, write
from sentryml.command.terminal import OK, USAGE, Failed, Terminal

MODELS_MOST = 1_000_000


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Write files for all models, or for those that are named."""
    folder: Path = arguments.folder
    if folder.exists() and not folder.is_dir():
        raise Failed(f"{folder} is no folder: name one for the files, for example -f monitors", USAGE)
    known = {each.model_id: each for each in read_all([folder] if folder.exists() else [])}
    written, unchanged = [], 0
    with Api(arguments.url) as api:
        names = arguments.model or [model["model_id"] for model in api.items("/v1/models", MODELS_MOST)]
        for number, model_id in enumerate(names):
            monitor = api.get(model_path(model_id, "monitor"))
            path = _write(folder, known.get(monitor["model_id"]), monitor)
            unchanged += path is None
            written += [path] if path else []
            terminal.progress((number + 1) / len(names), model_id)
    terminal.result({"written": [str(path) for path in written], "unchanged": unchanged})
    for path in written:
        terminal.say(f"written: {path}")
    terminal.say(f"{len(written)} {'file' if len(written) == 1 else 'files'} written, {unchanged} unchanged.")
    return OK


def _write(folder: Path, known: MonitorFile | None, monitor: dict[str, Any]) -> Path | None:
    """The file, if it had to be written: of a new one all settings, else those that it names."""
    in_force = settings_of(monitor)
    if known is None:
        path = default_path(folder, monitor["model_id"])
        write(path, monitor["model_id"], in_force)
        return path
    if not differences(in_force, known.settings):
        return None
    write(known.path, known.model_id, {name: in_force[name] for name in known.settings if name in in_force})
    return known.path

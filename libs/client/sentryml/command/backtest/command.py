"""The commands that need the method: `sentryml backtest` and `sentryml reference push`."""

from __future__ import annotations

import argparse

from sentryml.command.terminal import USAGE, Failed, Terminal


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Read a file, try settings on each model, show what they would have done."""
    try:
        from sentryml.command.backtest.run import run_file  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise _not_installed(err) from err
    return run_file(arguments, terminal)


def push(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Read a file, make a reference of it, and put that in force."""
    try:
        from sentryml.command.backtest.reference_push import push as push_file  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise _not_installed(err) from err
    return push_file(arguments, terminal)


def _not_installed(err: ModuleNotFoundError) -> Failed:
    text = f"this needs the statistics of SentryML ({err.name} is missing): docs/command.md says what to install"
    return Failed(text, USAGE)

"""What `sentryml backtest` does: read a file, try settings on each model, show what they would have done."""

from __future__ import annotations

import argparse

from sentryml.command.terminal import USAGE, Failed, Terminal

NEEDED = "pip install 'sentryml[backtest]'"


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Run it, if what it needs is installed."""
    try:
        from sentryml.command.backtest.trying import try_file  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise Failed(f"a backtest needs the statistics of SentryML ({err.name} is missing): {NEEDED}", USAGE) from err
    return try_file(arguments, terminal)

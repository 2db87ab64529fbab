"""A file, some settings, and what comes of them: in the terminal, as JSON, and as a page."""

from __future__ import annotations

import argparse

from sentryml.command.backtest.outcomes import try_models
from sentryml.command.backtest.page import write_page
from sentryml.command.backtest.reading import read_events
from sentryml.command.backtest.tables import document, show
from sentryml.command.backtest.variants import variants_of
from sentryml.command.terminal import OK, Terminal


def run_file(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Try all variants on all models of a file, and show what was found."""
    variants = variants_of(arguments.monitor, arguments.settings, arguments.only)
    tried = try_models(read_events(arguments, terminal), variants, terminal)
    terminal.result(document(tried))
    for model in tried:
        show(model, terminal)
    if arguments.html is not None:
        write_page(arguments.html, arguments.file.name, tried)
        terminal.say(f"\nwritten: {arguments.html}")
    return OK

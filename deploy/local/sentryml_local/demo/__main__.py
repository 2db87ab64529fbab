"""`python -m sentryml_local.demo`: brings up a stack of its own, plays the flights, prints addresses, and cleans up.

However it ends (at its end, by Ctrl-C, by a plain kill, by an error), everything it started is stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from sentryml_common.errors import ConfigurationError, SentryMLError
from sentryml_local.cli import INTERRUPTED, ignore_signals, let_signals_interrupt
from sentryml_local.demo.folder import own_folder
from sentryml_local.demo.narrator import Narrator
from sentryml_local.demo.performance import open_performance
from sentryml_local.demo.time_scale import FlightDay
from sentryml_local.programs import PORT_BASE, PORTS_USED
from sentryml_local.stack import Options, Stack

FINE_PANE_SECONDS = 0.5
DEFAULT_FOLDER = Path(".sentryml/demo")
NOT_SEEN = 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sentryml_local.demo",
        description="A real model on real flights drifts, from its first prediction to the message in Slack.",
    )
    parser.add_argument(
        "--once", action="store_true", help="stop at the end; exit status 0 only if the whole story was seen"
    )
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help=f"the demo's own folder, {DEFAULT_FOLDER}"
    )
    parser.add_argument(
        "--port-base", type=int, metavar="N", help=f"first of {PORTS_USED} ports in a row (default {PORT_BASE})"
    )
    return parser


def main() -> None:
    """Entry point of the demo."""
    arguments = _parser().parse_args()
    narrator = Narrator(Console())
    let_signals_interrupt()
    try:
        with own_folder(arguments.data):
            sys.exit(_perform(arguments, narrator))
    except KeyboardInterrupt:
        narrator.step("stopped before the end of the story")
        sys.exit(INTERRUPTED)
    except SentryMLError as err:
        sys.exit(f"demo: {err}")


def _perform(arguments: argparse.Namespace, narrator: Narrator) -> int:
    """Bring the stack up, play, take the stack down; the exit status."""
    narrator.prologue()
    options = Options(port_base=arguments.port_base, fine_pane_seconds=FINE_PANE_SECONDS)
    stack = Stack(arguments.data, options, narrator.step)
    with ThreadPoolExecutor(1) as pool, _stopped_at_the_end(stack, narrator):
        days = pool.submit(_predict)
        stack.up()
        return asyncio.run(_play(stack, days, narrator, once=arguments.once))


def _predict() -> list[FlightDay]:
    """Train and predict, beside the start of the stack: scikit-learn alone takes seconds to import."""
    try:
        from sentryml_local.demo.predictions import predict_days  # noqa: PLC0415
    except ModuleNotFoundError as err:
        raise ConfigurationError(
            f"the Python package {err.name} is not installed: install what the demo needs with `make install`"
        ) from err
    return predict_days()


@contextmanager
def _stopped_at_the_end(stack: Stack, narrator: Narrator) -> Iterator[None]:
    """Whatever happens inside, the stack is down afterwards; nothing may interrupt that."""
    try:
        yield
    finally:
        ignore_signals()
        narrator.step("stopping everything; data are kept until the next demo")
        stack.down()
        narrator.step("stopped")


async def _play(stack: Stack, days: Future[list[FlightDay]], narrator: Narrator, *, once: bool) -> int:
    """Play the days on a running stack, and judge what was seen."""
    environment = stack.environment()
    flights = await asyncio.wrap_future(days)
    narrator.introduce(flights)
    async with open_performance(environment, narrator) as performance:
        with narrator:
            missing = await performance.play(flights)
        narrator.sum_up(performance.seen, missing)
        if not once:
            narrator.say_where(environment, stack.folder)
            with suppress(asyncio.CancelledError):
                await performance.watch()
    return NOT_SEEN if missing else 0


if __name__ == "__main__":
    main()

"""`sentryml-local`: the whole system on this machine."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from sentryml_local.errors import StackError
from sentryml_local.programs import ALL, PORT_BASE, PORTS_USED
from sentryml_local.stack import Options, Stack

INTERRUPTED = 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentryml-local",
        description="SentryML on this machine: Kafka, PostgreSQL, all services and a stand-in for Slack.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and wait until it is ready")
    up.add_argument("--fine-pane-seconds", type=float, metavar="N", help="length of a fine pane (default 60)")
    up.add_argument(
        "--port-base", type=int, metavar="N", help=f"first of {PORTS_USED} ports in a row (default {PORT_BASE})"
    )
    up.add_argument("--only", metavar="A,B", help=f"start these alone, of {', '.join(ALL)}")
    down = commands.add_parser("down", help="stop everything; data are kept")
    status = commands.add_parser("status", help="say what runs, and where")
    status.add_argument("--json", action="store_true", help="as JSON: name, pid, state, url of each process")
    env = commands.add_parser("env", help='shell lines with addresses and keys: eval "$(sentryml-local env)"')
    for command in (up, down, status, env):
        command.add_argument("--data", type=Path, default=Path(".sentryml"), metavar="DIR", help="default .sentryml")
    return parser


def main() -> None:
    """Entry point of `sentryml-local`."""
    arguments = _parser().parse_args()
    try:
        sys.exit({"up": _up, "down": _down, "status": _status, "env": _env}[arguments.command](arguments))
    except (StackError, OSError) as err:
        sys.exit(f"sentryml-local: {err}")


def _up(arguments: argparse.Namespace) -> int:
    only = tuple(arguments.only.split(",")) if arguments.only else ALL
    unknown = [name for name in only if name not in ALL]
    if unknown:
        raise StackError(f"--only names {', '.join(unknown)}; there are {', '.join(ALL)}")
    began = time.monotonic()
    options = Options(port_base=arguments.port_base, fine_pane_seconds=arguments.fine_pane_seconds, only=only)
    stack = Stack(
        arguments.data, options, lambda what: print(f"  {time.monotonic() - began:5.1f} s  {what}", flush=True)
    )
    print(f"Starting SentryML in {stack.folder}", flush=True)
    let_signals_interrupt()
    try:
        stack.up()
    except KeyboardInterrupt:
        ignore_signals()
        print("\nInterrupted: stopping what was started", flush=True)
        stack.down()
        return INTERRUPTED
    _say_where(stack, only)
    return 0


def let_signals_interrupt() -> None:
    """A plain kill and a closed terminal do what Ctrl-C does at that moment."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts with `&`
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def ignore_signals() -> None:
    """Nothing may interrupt the stopping."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _say_where(stack: Stack, only: tuple[str, ...]) -> None:
    print("Ready.")
    for name, what in (
        ("incidents", "incidents"),
        ("ingest", "send events to"),
        ("slack-stand-in", "Slack's stand-in"),
        ("kafka", "Kafka"),
    ):
        if name in only:
            path = "/v1/events" if name == "ingest" else ""
            where = stack.addresses.kafka if name == "kafka" else stack.addresses.http(name) + path
            print(f"  {what:18} {where}")
    if "incidents" in only:
        _say_who(stack)
    print('  addresses and keys for your shell: eval "$(uv run sentryml-local env)"')


def _say_who(stack: Stack) -> None:
    """Who can sign in on the pages; the password itself stays off the screen."""
    print(f"  {'sign in as':18} {stack.state.admin_email}, password: $SENTRYML_ADMIN_PASSWORD of `sentryml-local env`")


def _down(arguments: argparse.Namespace) -> int:
    Stack(arguments.data).down()
    print("Stopped; data are kept.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    stack = Stack(arguments.data)
    found = stack.status()
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        for each in found:
            print(f"{each.name:15} {each.state:9} {each.pid or '-':>8}  {each.url}")
        _say_who(stack)
    return 0


def _env(arguments: argparse.Namespace) -> int:
    environment = Stack(arguments.data).environment()
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")
    if not environment["SENTRYML_EVENTS_KEY"]:
        print("sentryml-local: there are no API keys yet; `sentryml-local up` makes them", file=sys.stderr)
    return 0

"""The command `sentryml`, and what its arguments mean."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sentryml.command import completion, doctor, follow, incidents, models, reference
from sentryml.command.backtest import command as backtest
from sentryml.command.monitors.apply import run as monitors_apply
from sentryml.command.monitors.export import run as monitors_export
from sentryml.command.monitors.release import run as monitors_release
from sentryml.command.sending import send
from sentryml.command.terminal import FAILED, INTERRUPTED, OK, USAGE, Failed, Terminal
from sentryml.connection import VERSION
from sentryml.settings import NotConfigured

EPILOG = """\
Addresses and keys come from the environment: SENTRYML_URL and SENTRYML_API_KEY for everything; where incidents has an
address or a key of its own, SENTRYML_INCIDENTS_URL and SENTRYML_ADMIN_KEY.

exit codes: 0 all is well, 1 something was refused or found wrong, 2 wrong arguments, 3 no answer,
4 monitors apply --dry-run would change something, 130 interrupted
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["incidents"] and "".join(given[1:2])[:2] in ("", "--"):
        given = ["incidents", "list", *given[1:]]
    if given[:1] == [completion.ASK]:
        sys.stdout.writelines(f"{each}\n" for each in completion.candidates(_parser(), given[1:]))
        return OK
    chosen = _parser().parse_args(given)
    terminal = Terminal(as_json=getattr(chosen, "json", False))
    try:
        return int(chosen.run(chosen, terminal))
    except Failed as err:
        terminal.warn(str(err))
        return err.code
    except NotConfigured as err:
        terminal.warn(str(err))
        return USAGE
    except KeyboardInterrupt:
        goes_on = chosen.run in (send.run, monitors_apply)
        terminal.warn(f"Interrupted.{' The same command goes on where this one was.' if goes_on else ''}")
        return INTERRUPTED
    except BrokenPipeError:  # the reader, for example `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sentryml",
        description="Send predictions to SentryML, and look at what it finds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sentryml {VERSION}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", help="the address, instead of that of the environment")
    common.add_argument("--json", action="store_true", help="write one JSON document to standard output")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_send(commands.add_parser("send", parents=[common], help="send the events of a file: CSV, NDJSON, Parquet"))
    listed = commands.add_parser("models", parents=[common], help="list models: level, PSI, last seen, incident")
    listed.add_argument("--search", help="only those whose id holds this")
    listed.add_argument("--level", action="append", choices=["ok", "warn", "critical", "insufficient_data"])
    listed.add_argument("--limit", type=int, default=1_000, help="the most to list (1,000)")
    listed.set_defaults(run=models.run)
    _add_incidents(commands.add_parser("incidents", help="list incidents, show one, act on them, follow them"), common)
    _add_backtest(commands.add_parser("backtest", help="which incidents a file would have opened, without a server"))
    _add_monitors(commands.add_parser("monitors", help="monitors as YAML files: export them, apply them"), common)
    _add_reference(commands.add_parser("reference", help="what slow drift is measured against: show, push"), common)
    tailed = commands.add_parser("tail", parents=[common], help="evaluations and steps of incidents as they come")
    tailed.add_argument("--model", metavar="ID", action="append", help="only of this one; may be repeated")
    tailed.add_argument("--kind", action="append", choices=follow.KINDS, help="only these; may be repeated")
    tailed.set_defaults(run=follow.tail)
    checked = commands.add_parser("doctor", parents=[common], help="check addresses, keys and the clock")
    checked.add_argument("--ingest-only", action="store_true", help="check only what is needed to send events")
    checked.set_defaults(run=doctor.run)
    completed = commands.add_parser("completion", help="write a script for the shell, which completes what you type")
    completed.add_argument("shell", choices=list(completion.SCRIPTS))
    completed.set_defaults(run=completion.run)
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    """A file of events, and how its rows are read."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE")
    add("--model", metavar="ID", help="the model of all rows")
    add("--column", action="append", default=[], metavar="FIELD=NAME", help="the column of a field; may be repeated")
    add("--prediction-as", choices=["text", "number", "boolean"], help="how predictions of a CSV file are read")
    add("--time-zone", metavar="ZONE", help="of timestamps without an offset: UTC, Europe/Berlin")
    add("--format", choices=["csv", "ndjson", "parquet"], help="instead of a guess from the name and the first line")
    add("--skip-refused", action="store_true", help="leave out rows that are no event, or are refused")


def _add_send(parser: argparse.ArgumentParser) -> None:
    _add_file(parser)
    add = parser.add_argument
    add("--dry-run", action="store_true", help="read all of the file, say what would be sent, send nothing")
    add("--skip-too-old", action="store_true", help="leave out rows that are older than the model's windows reach")
    add("--state", type=Path, metavar="PATH", help="where to keep how far it was sent (FILE.sentryml)")
    add("--batch", type=_batch, default=1_000, metavar="N", help="rows a request (1,000)")
    parser.set_defaults(run=send.run)


def _add_backtest(parser: argparse.ArgumentParser) -> None:
    _add_file(parser)
    add = parser.add_argument
    add("--monitor", type=Path, metavar="PATH", help="the settings in a monitor's YAML file")
    add("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="a setting of the monitor")
    add("--only", action="store_true", help="try no other settings beside these")
    add("--html", type=Path, metavar="PATH", help="write a page with pictures")
    add("--json", action="store_true", help="write one JSON document to standard output")
    parser.set_defaults(run=backtest.run)


def _batch(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 5_000:
        raise argparse.ArgumentTypeError("say a number from 1 to 5,000")
    return int(text)


def _add_incidents(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    listed = commands.add_parser("list", parents=[common], help="list the live ones, newest first")
    listed.add_argument("--all", action="store_true", help="those that are over, too")
    listed.add_argument("--state", action="append", choices=["open", "acknowledged", "resolved", "closed"])
    listed.add_argument("--severity", action="append", choices=["warn", "critical"])
    listed.add_argument("--model", metavar="ID")
    listed.add_argument("--limit", type=int, default=50, help="the most to list (50)")
    listed.set_defaults(run=incidents.list_all)
    shown = commands.add_parser("show", parents=[common], help="show one, with its timeline")
    shown.add_argument("incident", metavar="NUMBER")
    shown.set_defaults(run=incidents.show)
    for name, (action, what) in incidents.ACTIONS.items():
        acting = commands.add_parser(name, parents=[common], help=what)
        acting.add_argument("incident", metavar="NUMBER", nargs="+")
        acting.add_argument("--note", metavar="TEXT", required=name == "note", help="a note for its timeline")
        if name == "accept":
            acting.add_argument(
                "--since", metavar="TIME", help="when the new normal began (RFC 3339); else its opening"
            )
        acting.set_defaults(run=incidents.act, action=action)
    followed = commands.add_parser("follow", parents=[common], help="each step as it comes, until Ctrl-C")
    followed.add_argument("--model", metavar="ID", action="append", help="only of this one; may be repeated")
    followed.set_defaults(run=follow.follow)


def _add_monitors(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    exported = commands.add_parser("export", parents=[common], help="write the monitors in force, a file each")
    exported.add_argument("-f", dest="folder", type=Path, required=True, metavar="DIR", help="where to write the files")
    exported.add_argument("--model", metavar="ID", action="append", help="only this one; may be repeated")
    exported.set_defaults(run=monitors_export)
    applied = commands.add_parser("apply", parents=[common], help="show what files would change, and change it")
    applied.add_argument(
        "-f",
        dest="files",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="a folder of files, or a file",
    )
    applied.add_argument("--dry-run", action="store_true", help="change nothing; exit code 4 if something would change")
    applied.add_argument("--yes", action="store_true", help="do not ask")
    applied.add_argument("--skip-unknown", action="store_true", help="leave out files of models without any event yet")
    applied.add_argument("--managed-by", metavar="TEXT", help="what the monitors' pages say instead of the file's name")
    applied.set_defaults(run=monitors_apply)
    released = commands.add_parser("release", parents=[common], help="say that no file manages these monitors any more")
    released.add_argument("models", nargs="+", metavar="MODEL")
    released.set_defaults(run=monitors_release)


def _add_reference(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    shown = commands.add_parser("show", parents=[common], help="show the one in force, and what was found with it")
    shown.add_argument("model", metavar="MODEL")
    shown.set_defaults(run=reference.show)
    pushed = commands.add_parser("push", parents=[common], help="make one of a file; only the histogram is sent")
    _add_file(pushed)
    pushed.add_argument("--dry-run", action="store_true", help="make it, send nothing; with --json, write it")
    pushed.set_defaults(run=backtest.push)


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-real`: five models of a real year, whose days differ as they do, under our rules and those of others.

Prints a table for each stream, then which goals our rule meets; the same every time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from multiprocessing import get_context

from bench.real.figures import show_goals, show_stream
from bench.real.pieces import Piece, by_how_often, try_one
from bench.real.product import OURS, RULES
from bench.real.rivals import RIVALS
from bench.real.streams import Kind, Stream, read_streams
from bench.real.trials import Results
from bench.report import leave_interrupts_to_the_parent, say_line, say_table

CHECKED_OFTEN = Kind.WEATHER
"""What is evaluated every five minutes too: of this kind the first stream, since it has the most incidents."""


def main() -> int:
    """Try every rule on every stream, show how far it is, print the tables."""
    arguments = _parser().parse_args()
    began = time.monotonic()
    streams = list(read_streams())
    try:
        found, same = _try_all(streams, arguments.processes)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130
    names = [rule.name for rule in (*RULES, *RIVALS)]
    for stream in streams:
        show_stream(stream.name, stream.kind, {name: found[stream.name, name] for name in names})
    say_table("Ours, by evaluation interval", ["interval", "incidents", "within an hour of one of the other"], same)
    show_goals([(stream.name, stream.kind, found[stream.name, OURS.name]) for stream in streams])
    say_line(f"\n{(time.monotonic() - began) / 60:.1f} minutes on {arguments.processes} of {os.cpu_count()} cores")
    return 0


def _try_all(streams: list[Stream], processes: int) -> tuple[dict[tuple[str, str], Results], list[list[str]]]:
    pieces: list[Piece] = [(stream, rule) for rule in (*RULES, *RIVALS) for stream in streams]
    often = next(stream for stream in streams if stream.kind is CHECKED_OFTEN)
    found: dict[tuple[str, str], Results] = {}
    with get_context("spawn").Pool(processes, leave_interrupts_to_the_parent) as pool:
        by_interval = pool.apply_async(by_how_often, (often,))
        for (stream, rule), results in pool.imap_unordered(try_one, pieces):
            found[stream, rule] = results
            sys.stderr.write(f"{len(found)} of {len(pieces)}: {rule} on {stream}\n")
        return found, by_interval.get()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-real", description=__doc__)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one per core")
    return parser


if __name__ == "__main__":
    sys.exit(main())

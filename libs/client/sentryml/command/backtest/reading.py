"""The events of a file, by model, held against the same contract as those that are sent."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sentryml.command.columns import BadRow, Columns
from sentryml.command.rows import Place, Row, Rows
from sentryml.command.sending.send import columns_of, show_columns
from sentryml.command.terminal import USAGE, Failed, Terminal
from sentryml_common.contracts.prediction import InvalidEvents, read_rows
from sentryml_common.errors import UndecodableMessage
from sentryml_lifecycle.backtest.events import Collected, Events

BATCH = 1_000


def read_events(arguments: argparse.Namespace, terminal: Terminal, *, timed: bool = True) -> dict[str, Events]:
    """All events of the file; unless `timed`, their times do not matter.

    Raises:
        Failed: a row is none, and such rows are not to be left out; or there is none at all.
    """
    rows = Rows(arguments.file, arguments.format)
    columns = columns_of(rows, arguments)
    if timed and "timestamp" not in columns.names:
        raise Failed("a backtest needs the time of each prediction: say --column timestamp=NAME", USAGE)
    show_columns(rows, columns, terminal, timed=timed)
    found: defaultdict[str, Collected] = defaultdict(Collected)
    reading = _Reading(columns, arguments.skip_refused, terminal, timed)
    taken = rows.from_place(Place())
    while batch := list(islice(taken, BATCH)):
        for row in reading.events(batch):
            found[row.model_id].add(row.seconds() if timed else 0.0, row.prediction, row.score)
        terminal.progress(batch[-1].after.offset / max(1, rows.size), "reading")
    if not found:
        raise Failed(f"{arguments.file} holds no event")
    if reading.left_out:
        terminal.warn(f"{reading.left_out:,} rows left out")
    return {model_id: found[model_id].events() for model_id in sorted(found)}


class _Reading:
    """Rows into events."""

    def __init__(self, columns: Columns, skip: bool, terminal: Terminal, timed: bool) -> None:
        self._columns, self._skip, self._terminal, self._timed = columns, skip, terminal, timed
        self.left_out = 0

    def events(self, batch: list[Row]) -> Any:
        """The events of a batch of rows."""
        pairs = list(self._pairs(batch))
        while pairs:
            try:
                return read_rows(json.dumps([event for _, event in pairs]).encode())
            except InvalidEvents as err:
                bad = {each.index: f"{each.field} {each.reason}" for each in err.errors}
            except UndecodableMessage as err:
                bad = {0: str(err)}
            for index, reason in bad.items():
                self._refused(pairs[index][0], reason)
            pairs = [pair for index, pair in enumerate(pairs) if index not in bad]
        return []

    def _pairs(self, batch: list[Row]) -> Iterator[tuple[Row, dict[str, Any]]]:
        for row in batch:
            try:
                event = self._columns.event(row)
                if self._timed and event.get("timestamp") is None:
                    raise BadRow("timestamp is empty")
            except BadRow as err:
                self._refused(row, str(err))
                continue
            yield row, event

    def _refused(self, row: Row, reason: str) -> None:
        text = f"line {row.line}: {reason}"
        if not self._skip:
            raise Failed(f"{text}\nOr leave such rows out: --skip-refused")
        self._terminal.warn(f"left out: {text}")
        self.left_out += 1

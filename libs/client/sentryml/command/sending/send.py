"""`sentryml send FILE`: the events of a CSV or NDJSON file, each once, also when it is stopped and run again."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sentryml.command.columns import FIELDS, BadRow, Columns, choose
from sentryml.command.rows import Place, Row, Rows
from sentryml.command.sending.progress_file import Progress, begin
from sentryml.command.sending.upload import Pair, Refusal, TooLarge, Upload
from sentryml.command.terminal import OK, USAGE, Failed, Terminal
from sentryml.settings import Target, target

SAMPLE_ROWS = 1_000
SHOWN = 5
DAY_SECONDS = 86_400


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Send a file, or say what would be sent."""
    rows = Rows(arguments.file, arguments.format)
    columns = columns_of(rows, arguments)
    show_columns(rows, columns, terminal)
    if arguments.dry_run:
        return _dry_run(rows, columns, terminal)
    where = target(arguments.url)
    state = arguments.state or arguments.file.with_name(arguments.file.name + ".sentryml")
    progress = begin(arguments.file, state, _sending(where, columns))
    if progress.offset >= rows.size:
        terminal.say(f"All of it was sent already ({state}); remove that file to send it again.")
    elif progress.offset:
        terminal.say(f"Going on at line {progress.line:,}: {progress.accepted:,} events were accepted before.")
    sending = _Sending(rows, columns, arguments, terminal, state, progress)
    with closing(Upload(where, lambda reason: terminal.progress(sending.share(), f"waiting: {reason}"))) as upload:
        sending.run(upload)
    progress = sending.progress
    terminal.result({**asdict(progress), "state": str(state)})
    left_out = f", {progress.left_out:,} rows left out" if progress.left_out else ""
    terminal.say(f"{progress.accepted:,} events accepted{left_out}.")
    return OK


def columns_of(rows: Rows, arguments: argparse.Namespace) -> Columns:
    """Which column is which field, by the arguments, else by their names and a sample."""
    sample = list(islice(rows.from_place(Place()), SAMPLE_ROWS))
    if not sample:
        raise Failed(f"{rows.path} has no rows")
    names = rows.columns or sorted({name for row in sample for name in row.values})
    return choose(
        names,
        arguments.column,
        model_id=arguments.model,
        sample=sample,
        prediction_as=arguments.prediction_as,
        time_zone=_time_zone(arguments.time_zone),
        text=rows.kind == "csv",
    )


def _time_zone(name: str | None) -> tzinfo | None:
    if name is None or name.upper() == "UTC":
        return UTC if name else None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as err:
        raise Failed(f"--time-zone {name}: there is no such time zone; UTC or Europe/Berlin are some", USAGE) from err


def _sending(where: Target, columns: Columns) -> str:
    """A hash of where to and as what."""
    facts = (
        f"{where.url} {columns.model_id} {sorted(columns.names.items())} {columns.prediction_as} {columns.time_zone}"
    )
    return hashlib.sha256(facts.encode()).hexdigest()[:32]


def show_columns(rows: Rows, columns: Columns, terminal: Terminal, *, timed: bool = True) -> None:
    """Say what is read as what."""
    terminal.say(
        f"{rows.path.name}: {rows.kind.upper()}, {rows.size:,} {'rows' if rows.kind == 'parquet' else 'bytes'}"
    )
    shown = [(name, columns.names.get(name, "")) for name in FIELDS if name in columns.names]
    if columns.model_id:
        shown.insert(0, ("model_id", f'"{columns.model_id}" for all rows'))
    kinds = {"prediction": f" ({columns.prediction_as})"}
    terminal.table(("field", "column"), [(name, column + kinds.get(name, "")) for name, column in shown])
    others = [column for column in rows.columns if column not in columns.names.values()]
    if others:
        terminal.say(f"not sent: {', '.join(others)}")
    if timed and "timestamp" not in columns.names:
        terminal.warn("No column is the timestamp: all events get the time at which they arrive.")


def _dry_run(rows: Rows, columns: Columns, terminal: Terminal) -> int:
    good, bad, first = 0, 0, None
    times: list[float] = []
    for row in rows.from_place(Place()):
        try:
            event = columns.event(row)
        except BadRow as err:
            bad += 1
            if bad <= SHOWN:
                terminal.warn(f"line {row.line}: {err}")
            continue
        good, first = good + 1, first or event
        if isinstance(at := event.get("timestamp"), int | float):
            times = [min([at, *times]), max([at, *times])]
    terminal.result({"events": good, "bad_rows": bad, "first": first, "from": times[:1], "to": times[1:]})
    terminal.say(f"{good:,} events{f', from {_day(times[0])} to {_day(times[1])}' if times else ''}; {bad:,} bad rows.")
    if first:
        terminal.say(f"the first: {first}")
    terminal.say("Nothing was sent (--dry-run).")
    return OK if not bad else 1


@dataclass(slots=True)
class _Sending:
    """The loop over the batches of a file."""

    rows: Rows
    columns: Columns
    arguments: argparse.Namespace
    terminal: Terminal
    state: Path
    progress: Progress
    reach: dict[str, float] = field(default_factory=dict)
    """How old an event of a model may be, once ingest has said so: only with --skip-too-old."""

    def run(self, upload: Upload) -> None:
        """Send what is left of it."""
        size: int = self.arguments.batch
        self.progress.save(self.state)  # before anything may be accepted: a run after this one has the same keys
        while self.progress.offset < self.rows.size:
            taken = list(islice(self.rows.from_place(self.progress.place), size))
            if not taken:  # blank lines at the end
                return
            try:
                self._send(upload, taken)
            except TooLarge:
                size = max(1, size // 2)

    def share(self) -> float:
        """How much of the file is done."""
        return self.progress.offset / max(1, self.rows.size)

    def _send(self, upload: Upload, taken: list[Row]) -> None:
        pairs = list(self._pairs(taken))
        key = self.progress.key_of(len(taken))
        while pairs and (refusals := upload.send(pairs, key)):
            pairs = self._without(pairs, refusals)
            key = self.progress.key_of(len(taken) * 1_000_000 + len(pairs))  # other events are another batch
        self.progress = self.progress.after(taken[-1].after, accepted=len(pairs), left_out=len(taken) - len(pairs))
        self.progress.save(self.state)
        self.terminal.progress(self.share(), f"{self.progress.accepted:,} events")

    def _pairs(self, taken: list[Row]) -> Iterator[Pair]:
        for row in taken:
            try:
                pair = Pair(row, self.columns.event(row))
            except BadRow as err:
                if not self.arguments.skip_refused:
                    raise self._stopped(f"line {row.line}: {err}", "--skip-refused") from err
                self.terminal.warn(f"left out: line {row.line}: {err}")
                continue
            if not self._too_old(pair.event):
                yield pair

    def _too_old(self, event: dict[str, Any]) -> bool:
        reach, at = self.reach.get(event["model_id"]), _seconds(event)
        return reach is not None and at is not None and at < time.time() - reach

    def _without(self, pairs: list[Pair], refusals: list[Refusal]) -> list[Pair]:
        """The batch without what was refused, where the arguments allow to leave that out."""
        too_old = [each for each in refusals if each.reach is not None]
        others = [each for each in refusals if each.reach is None]
        if too_old:
            self.reach |= {each.pair.event["model_id"]: each.reach for each in too_old if each.reach is not None}
            self._say_too_old(too_old[0])
        if others and not self.arguments.skip_refused:
            raise self._stopped("\n".join(each.text() for each in others[:SHOWN]), "--skip-refused")
        for each in others:
            self.terminal.warn(f"left out: {each.text()}")
        refused = {id(each.pair) for each in refusals}
        return [pair for pair in pairs if id(pair) not in refused and not self._too_old(pair.event)]

    def _say_too_old(self, first: Refusal) -> None:
        """Say of which rows, up to the end of the file, and how to lengthen the reach."""
        model_id, reach = first.pair.event["model_id"], first.reach or 0.0
        lines, times = [], []
        for row in self.rows.from_place(self.progress.place):
            with suppress(BadRow):
                event = self.columns.event(row)
                if event["model_id"] == model_id and self._too_old(event):
                    lines.append(row.line)
                    times.append(_seconds(event) or 0.0)
        if not lines:
            return
        text = (
            f"{len(lines):,} rows of {model_id} (lines {lines[0]:,} to {lines[-1]:,}, {_day(min(times))} to "
            f"{_day(max(times))}) are older than {reach / DAY_SECONDS:g} days and would not be counted.\n"
            f"{_how_to_lengthen(first, time.time() - min(times))}"
        )
        if not self.arguments.skip_too_old:
            raise self._stopped(text, "--skip-too-old")
        self.terminal.warn(f"left out: {text}")

    def _stopped(self, text: str, flag: str) -> Failed:
        accepted = f"{self.progress.accepted:,} events were accepted before that"
        return Failed(f"{text}\nOr leave such rows out: {flag}. {accepted}; the same command goes on after them.")


def _how_to_lengthen(refusal: Refusal, oldest: float) -> str:
    if "LONGEST" in refusal.reason:
        return "Nothing older is counted, whatever the monitor says (SENTRYML_LONGEST_WINDOW_SECONDS)."
    model_id, seconds = refusal.pair.event["model_id"], -int(-oldest // DAY_SECONDS) * DAY_SECONDS
    return (
        f"To have them counted, first lengthen the windows of its monitor, on its page or by\n"
        f'PUT /v1/models/{model_id}/monitor {{"baseline_seconds": {seconds}}}.'
    )


def _seconds(event: dict[str, Any]) -> float | None:
    at = event.get("timestamp")
    return float(at) if isinstance(at, int | float) else None


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"

"""The rows of a CSV or NDJSON file, each with the offset of the byte after it, so that reading can go on there.

Of a Parquet file, offsets and lines are numbers of rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sentryml.command.parquet import ParquetFile
from sentryml.command.terminal import Failed

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to read on."""

    offset: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line where it begins, and the place after it."""

    line: int
    after: Place
    values: dict[str, Any]
    error: str = ""


class Rows:
    """A file of rows."""

    def __init__(self, path: Path, kind: str | None = None) -> None:
        self.path = path
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                self._first = file.readline()
        except OSError as err:
            raise Failed(f"{path} cannot be read: {err.strerror}") from err
        self.kind = kind or _kind(path, self._first)
        self._delimiter = ","
        self.columns: list[str] = []
        if self.kind == "csv":
            self._read_header()
        elif self.kind == "parquet":
            self._parquet = ParquetFile(path)
            self.size, self.columns = self._parquet.size, self._parquet.columns

    def from_place(self, place: Place) -> Iterator[Row]:
        """The rows from there on."""
        if self.kind == "parquet":
            for number, values in self._parquet.rows(place.offset):
                yield Row(number + 1, Place(number + 1, number + 2), values)
            return
        with self.path.open("rb") as file:
            lines = _Lines(file, place)
            if self.kind == "ndjson":
                yield from _json_rows(lines)
            else:
                yield from self._csv_rows(lines, skip_header=place.offset == 0)

    def _read_header(self) -> None:
        text = _decoded(self._first, 1).removeprefix(BYTE_ORDER_MARK)
        self._delimiter = max(",;\t|", key=text.count)
        with self.path.open("rb") as file:
            self.columns = next(iter(csv.reader(_Lines(file, Place()), delimiter=self._delimiter)), [])
        if not self.columns:
            raise Failed(f"{self.path} is empty")
        if len(set(self.columns)) < len(self.columns):
            raise Failed(f"{self.path} has two columns of one name in its header: give each its own")

    def _csv_rows(self, lines: _Lines, skip_header: bool) -> Iterator[Row]:
        reader = csv.reader(lines, delimiter=self._delimiter)
        if skip_header:
            next(reader, None)
        line = lines.place.line
        try:
            for cells in reader:
                place = lines.place
                if cells:
                    yield self._csv_row(cells, line, place)
                line = place.line
        except csv.Error as err:
            raise Failed(f"{self.path}, line {line}: {err}") from err

    def _csv_row(self, cells: list[str], line: int, place: Place) -> Row:
        if len(cells) != len(self.columns):
            return Row(line, place, {}, f"has {len(cells)} fields, the header {len(self.columns)}")
        return Row(line, place, dict(zip(self.columns, cells, strict=True)))


class _Lines:
    """The lines of a file as text. `place` is after the last one that was taken, and not further."""

    def __init__(self, file: BinaryIO, place: Place) -> None:
        file.seek(place.offset)
        self._file, self.place = file, place

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline():
            line, first = self.place.line, self.place.offset == 0
            self.place = Place(self.place.offset + len(raw), line + 1)
            text = _decoded(raw, line)
            yield text.removeprefix(BYTE_ORDER_MARK) if first else text


def _json_rows(lines: _Lines) -> Iterator[Row]:
    line = lines.place.line
    for text in lines:
        place, values, error = lines.place, {}, ""
        if text.strip():
            try:
                values = json.loads(text)
                error = "" if isinstance(values, dict) else "is no JSON object"
            except (ValueError, RecursionError) as err:
                error = f"is no JSON: {err}"
            yield Row(line, place, {} if error else values, error)
        line = place.line


def _kind(path: Path, first: bytes) -> str:
    if path.suffix in (".ndjson", ".jsonl") or first.lstrip().startswith(b"{"):
        return "ndjson"
    if path.suffix in (".parquet", ".pq") or first.startswith(b"PAR1"):
        return "parquet"
    if path.suffix in (".gz", ".zst", ".zip", ".xlsx") or b"\0" in first:
        raise Failed(f"{path} is neither CSV, NDJSON nor Parquet: convert it first")
    return "csv"


def _decoded(raw: bytes, line: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as err:
        raise Failed(f"line {line} is not UTF-8: convert the file first, for example with iconv") from err

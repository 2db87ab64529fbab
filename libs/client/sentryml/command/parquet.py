"""The rows of a Parquet file, by their number; pyarrow is an extra.

Reading goes on from one batch of `sentryml send` to the next without decoding anything twice. Its timestamps become
text in RFC 3339, NaN becomes null, and all else is as in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

from sentryml.command.terminal import USAGE, Failed

CHUNK_ROWS = 8_192


class ParquetFile:
    """A file that is read from the front; a place before the last one means to begin again."""

    def __init__(self, path: Path) -> None:
        self._path, (self._arrow, parquet) = path, _pyarrow()
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, self._arrow.ArrowException) as err:
            raise Failed(f"{path} cannot be read as Parquet: {_first_line(err)}") from err
        self.columns: list[str] = list(self._file.schema_arrow.names)
        self.size: int = self._file.metadata.num_rows
        self._batches: Iterator[Any] = iter(())
        self._first, self._rows = 0, list[dict[str, Any]]()
        """The rows that were decoded last, and the number of their first one."""

    def rows(self, first: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """All rows from number `first` on (0 is the first one), with their numbers."""
        while first < self.size:
            for row in self._decoded(first):
                yield first, row
                first += 1

    def _decoded(self, first: int) -> list[dict[str, Any]]:
        """Some rows from that number on."""
        try:
            if first < self._first or not self._rows:
                self._batches = self._file.iter_batches(batch_size=CHUNK_ROWS)
                self._first, self._rows = 0, []
            while not self._first <= first < self._first + len(self._rows):
                self._first += len(self._rows)
                self._rows = self._plain_rows(next(self._batches), skipped=first)
        except (OSError, ValueError, self._arrow.ArrowException) as err:
            raise Failed(f"{self._path}, after row {self._first + 1:,}: {_first_line(err)}") from err
        return self._rows[first - self._first :]

    def _plain_rows(self, batch: Any, skipped: int) -> list[dict[str, Any]]:
        """The rows of a batch; where all of them are skipped, as many empty ones."""
        if self._first + batch.num_rows <= skipped:
            return [{}] * batch.num_rows
        for place, kind in enumerate(batch.schema.types):
            if self._arrow.types.is_timestamp(kind) and kind.unit == "ns":  # Python has microseconds
                micros = batch.column(place).cast(self._arrow.timestamp("us", kind.tz), safe=False)
                batch = batch.set_column(place, batch.schema.names[place], micros)
        return [{name: plain_value(value) for name, value in row.items()} for row in batch.to_pylist()]


def plain_value(value: Any) -> Any:
    """A value as JSON has it; bytes are taken for text. Of a kind that no field of an event has, the name of that, in a
    list: it is refused for what it is."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str | int | None) else [type(value).__name__]


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as err:
        raise Failed("Parquet files need pyarrow: pip install pyarrow", USAGE) from err
    return pyarrow, pyarrow.parquet


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]

"""Parquet files, read by a stand-in for pyarrow that has the part of it that is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sentryml.command.__main__ import main
from sentryml.command.parquet import ParquetFile, plain_value
from tests.support.ingest_stand_in import KEY, StandIn, problem

START = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
ROWS = [
    {"ts": START + timedelta(minutes=number), "label": f"label {number}", "score": float("nan") if number == 4 else 0.5}
    for number in range(10)
]
decoded: list[int] = []


class Stub:
    """`pyarrow.parquet.ParquetFile`."""

    def __init__(self, path: Path) -> None:
        if path.read_bytes() != b"PAR1":
            raise ValueError("no magic bytes\nand more")
        self.schema_arrow = SimpleNamespace(names=list(ROWS[0]))
        self.metadata = SimpleNamespace(num_rows=len(ROWS))

    def iter_batches(self, batch_size: int) -> Iterator[Any]:
        for first in range(0, len(ROWS), batch_size):
            taken = ROWS[first : first + batch_size]

            def to_pylist(first: int = first, taken: list[Any] = taken) -> list[Any]:
                decoded.append(first)
                return taken

            yield SimpleNamespace(num_rows=len(taken), schema=SimpleNamespace(types=[]), to_pylist=to_pylist)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ingest: StandIn) -> Path:
    """A file of ten rows, decoded four at a time."""
    arrow, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")
    vars(parquet)["ParquetFile"] = Stub
    vars(arrow).update(parquet=parquet, ArrowException=ValueError)
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    monkeypatch.setattr("sentryml.command.parquet.CHUNK_ROWS", 4)
    monkeypatch.setenv("SENTRYML_URL", ingest.url)
    monkeypatch.setenv("SENTRYML_API_KEY", KEY)
    decoded.clear()
    path = tmp_path / "predictions.parquet"
    path.write_bytes(b"PAR1")
    return path


def test_rows_are_sent_each_decoded_once(file: Path, ingest: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", str(file), "--model=m", "--batch=3"]) == 0
    assert [event["prediction"] for event in ingest.events()] == [f"label {number}" for number in range(10)]
    assert ingest.events()[0]["timestamp"] == START.timestamp()
    assert ["score" in event for event in ingest.events()].index(False) == 4
    assert decoded == [0, 4, 8] * 2, "once for the sample of rows, and once for all"
    assert "PARQUET, 10 rows" in capsys.readouterr().out


def test_it_goes_on_where_it_stopped(file: Path, ingest: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    refused = [{"index": 1, "field": "prediction", "reason": "is bad"}]
    ingest.replies.append(problem(422, "invalid-events", errors=refused))
    assert main(["send", str(file), "--model=m", "--batch=5"]) == 1
    assert "line 2: prediction is bad" in capsys.readouterr().err
    assert main(["send", str(file), "--model=m", "--batch=5"]) == 0
    assert len(ingest.events()) == 10


def test_a_later_place_decodes_no_row_before_it(file: Path) -> None:
    opened = ParquetFile(file)
    assert [number for number, _ in opened.rows(9)] == [9]
    assert decoded == [8]
    assert next(opened.rows(2))[1]["label"] == "label 2"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("1.5"), 1.5),
        (date(2026, 11, 23), "2026-11-23"),
        (b"legit", "legit"),
        (True, True),
        ([1], ["list"]),
        (timedelta(1), ["timedelta"]),
    ],
)
def test_values_are_as_in_json(value: Any, plain: Any) -> None:
    assert plain_value(value) == plain


def test_what_cannot_be_read_is_said(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"PAR1?")
    assert main(["send", str(file), "--model=m"]) == 1
    assert capsys.readouterr().err.endswith("cannot be read as Parquet: no magic bytes\n")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["send", str(file), "--model=m"]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err

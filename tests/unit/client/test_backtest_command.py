"""`sentryml backtest` and `reference push`: what is made of a file."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentryml.command.__main__ import main
from sentryml_incidents.domain.uploaded_reference import UploadedReference, contradictions
from sentryml_statistics.histograms.pane_counts import PaneCounts

START = 1_790_000_000
EVERY = "--set=every_seconds=14400"
STRANGE = 'late <script>"&\u202e'


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three weeks of a model; on the twelfth day most predictions are of a strange name."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("backtest") / "predictions.ndjson"
    with path.open("w") as lines:
        for at in np.sort(rng.uniform(0, 21, 6_000)).tolist():
            shifted = 12 <= at < 13
            score = float(rng.beta(2, 5)) ** (0.4 if shifted else 1)
            event = {"prediction": STRANGE if shifted and score > 0.4 else "on time", "score": score}
            lines.write(json.dumps({"model_id": "flights", "timestamp": START + at * 86_400, **event}) + "\n")
    return path


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["backtest", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_incidents_are_shown_with_what_moved(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", str(file), "--only", EVERY]) == 0
    said = capsys.readouterr().out
    assert "flights: 6,000 events from 2026-09-21" in said
    assert "1 incident with the given settings" in said
    assert re.search(r"2026-10-0[34] \d\d:\d\d +\d d \d+ h +critical +\d\.\d\d", said)
    assert "\u202e" not in said


def test_other_settings_are_tried_beside(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (model,) = found(capsys, str(file), EVERY, "--set=slow_drift=false", "--set=critical=12", "--set=warn=9.5")
    assert code == 0
    first, *others = model["variants"]
    assert first["settings"] == {"every_seconds": "14400", "slow_drift": "false", "critical": "12", "warn": "9.5"}
    assert len(first["incidents"]) == 0
    by_name = {each["name"].partition(":")[0]: each for each in others}
    assert set(by_name) == {"more sensitive", "less sensitive", "sooner", "smoother"}
    (incident,) = by_name["more sensitive"]["incidents"]
    assert incident["peak_psi"] > 4.75


def test_segments_are_said_to_be_left_out_where_they_are_asked_for(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seldom, page = "--set=every_seconds=86400", tmp_path / "page.html"
    for asked in (False, True):
        settings = (seldom, f"--set=evaluate_segments={asked}")
        assert main(["backtest", str(file), "--only", *settings, "--html", str(page)]) == 0
        said = [capsys.readouterr().out, page.read_text()]
        assert ["Segments are left out: these are" in each for each in said] == [asked, asked]
        _, (model,) = found(capsys, str(file), "--only", *settings)
        assert (model["segments_left_out"] is not None) is asked


def test_the_page_stands_alone(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["backtest", str(file), EVERY, "--only", "--html", str(page)]) == 0
    assert f"written: {page}" in capsys.readouterr().out
    text = page.read_text()
    assert "<script" not in text
    assert "\u202e" not in text
    assert not re.search(r"(src|href)=|url\(|@import|http", text)
    pictures = re.findall(r"<svg.*?</svg>", text)
    assert len(pictures) == 3
    for each in pictures:
        ET.fromstring(each)
    assert 'class="band critical"' in pictures[0]
    assert main(["backtest", str(file), EVERY, "--only", "--html", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_file_that_is_too_short_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short.csv"
    path.write_text("ts,label\n" + "".join(f"{START + number * 60},a\n" for number in range(300)))
    assert main(["backtest", str(path), "--model=m", "--only"]) == 0
    said = capsys.readouterr().out
    assert "None of 59 evaluations had a result" in said or "None of 60 evaluations had a result" in said
    assert "a model warms up for 4 d." in said


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("label\na\n", [], 2, "--column timestamp=NAME"),
        ("ts,label\n", [], 1, "has no rows"),
        ("ts,label\n1790000000,a\n,b\n", [], 1, "line 3: timestamp is empty"),
        ("ts,label\n1790000000,a\n1790000000," + "b" * 200 + "\n", [], 1, "line 3: prediction must be text of at most"),
        ("ts,label\n1790000000,a\n", ["--model=no model"], 1, "line 2: model_id must match"),
        (
            "ts,label\n1790000000,a\n0,a\n",
            [],
            1,
            "m: from 1970-01-01 to 2026-09-21 are 5,966,667 evaluations. Are these",
        ),
        ("ts,label\n1790000000,a\n", ["--set=wran=1"], 2, "say NAME=VALUE, with one of enabled, signals"),
        ("ts,label\n1790000000,a\n", ["--set=warn=x"], 2, "do not fit: warn: Input should be a valid number"),
        ("ts,label\n1790000000,a\n", ["--set=warn=3"], 2, "warn (3) must be below critical (0.2)"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, arguments: list[str], code: int, said: str
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text)
    assert main(["backtest", str(path), "--model=m", *arguments]) == code
    assert said in capsys.readouterr().err


def test_settings_come_from_the_file_of_a_monitor(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor = tmp_path / "flights.yaml"
    monitor.write_text("model_id: flights\nevery_seconds: 14400\nwarn: 9.5\ncritical: 12\nslow_drift: false\n")
    code, (model,) = found(capsys, str(file), "--only", "--monitor", str(monitor), "--set=bins=8")
    assert (code, model["variants"][0]["incidents"]) == (0, [])
    assert model["variants"][0]["settings"]["bins"] == "8"
    monitor.write_text("model_id: flights\nwran: 9.5\n")
    assert main(["backtest", str(file), "--monitor", str(monitor)]) == 1
    assert f"{monitor}:2: wran: a monitor has no such setting" in capsys.readouterr().err


def test_bad_rows_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.csv"
    path.write_text("ts,label\n1790000000,a\n,b\n1790003600," + "b" * 200 + "\n1790007200,c\n")
    code, (model,) = found(capsys, str(path), "--model=m", "--skip-refused", "--only")
    assert (code, model["events"]) == (0, 2)


def test_without_the_extra_it_says_what_to_install(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sentryml.command.backtest.run", None)
    assert main(["backtest", str(file)]) == 2
    assert "docs/command.md says what to install" in capsys.readouterr().err


def test_a_reference_is_the_histogram_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(9)
    scores = [*rng.beta(2, 5, 20_000).tolist(), None, None]
    labels: list[str | float | bool] = [*(rng.integers(0, 4, 20_000) / 2).tolist(), True, "late"]
    path = tmp_path / "validation.ndjson"
    rows = zip(labels, scores, strict=True)
    path.write_text("\n".join(json.dumps({"prediction": label, "score": score}) for label, score in rows))
    assert main(["reference", "push", str(path), "--model=m", "--dry-run", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)["m"]
    uploaded = UploadedReference.model_validate_json(json.dumps(body))
    assert contradictions(uploaded) == []
    exact = PaneCounts.of(labels, scores)
    found = PaneCounts(uploaded.score.counted(), uploaded.prediction.counted())
    assert found.prediction == exact.prediction
    assert exact.score.numbers.dropped > 0, "too many values to count each"
    numbers = found.score.numbers.coarsened(exact.score.numbers.dropped)
    assert replace(found.score, numbers=numbers) == exact.score


def test_a_reference_has_a_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "validation.csv"
    path.write_text("label\n" + "".join(f"label {number}\n" for number in range(1_025)))
    assert main(["reference", "push", str(path), "--model=m", "--dry-run"]) == 1
    assert "1,025 different predictions" in capsys.readouterr().err
    path.write_text("label\n" + "".join(f"{number:0120d}x\n" for number in range(600)))
    assert main(["reference", "push", str(path), "--model=m", "--dry-run"]) == 1
    assert "too long" in capsys.readouterr().err

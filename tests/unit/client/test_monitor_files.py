"""Monitors as YAML files: what is read, what is said of a bad one, and what is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sentryml.command.__main__ import main
from sentryml.command.monitors.files import BadFile, default_path, differences, read, read_all, write
from sentryml.command.terminal import Failed

SETTINGS = {
    "enabled": True, "signals": ["score", "prediction"], "baseline_seconds": 604_800.0, "every_seconds": 90,
    "warn": 0.1, "min_samples": None, "season_seconds": None, "time_zone": "Europe/Berlin",
}  # fmt: skip


def monitor(folder: Path, text: str, name: str = "fraud.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    for model_id in ("fraud", "eu:1.2", "123", "1:30", "2024-01-01", "null", "on"):
        path = default_path(tmp_path, model_id)
        write(path, model_id, SETTINGS)
        found = read(path)
        assert (found.model_id, dict(found.settings)) == (model_id, SETTINGS)
        assert path.parent == tmp_path
    assert "baseline_seconds: 604800  # 7 d\n" in path.read_text()
    assert "signals: [score, prediction]\n" in path.read_text()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_file_may_name_some_settings_and_what_the_api_answers_beside_them(tmp_path: Path) -> None:
    found = read(monitor(tmp_path, "model_id: fraud\nversion: 7\nwarn: 1e-1\nkept_since: null\ncritical: 2\n"))
    assert found.settings == {"warn": 0.1, "critical": 2}
    assert found.where("critical").endswith("fraud.yaml:5: critical")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: no monitor"),
        ("- fraud\n", ":1: no monitor"),
        ("warn: 0.1\n", ":1: model_id is missing"),
        ("warn: 0.1\nmodel_id: [a]\n", ":2: model_id is missing"),
        ("model_id: a\nwarn: 0.1\nwarn: 0.2\n", ":3: warn stands on line 2 already"),
        ("model_id: a\nwarn: {a: 1}\n", ":2: warn is a mapping"),
        ("model_id: a\nbins: .inf\n", ":2: bins is .inf"),
        ("model_id: a\ntime_zone: 2024-01-01\n", ":2: time_zone is 2024-01-01"),
        ("model_id: a\nwarn: !!python/object:os.system {}\n", ":2: warn is a mapping"),
        ("model_id: a\nwarn: !x y\n", ":2: no YAML: could not determine a constructor"),
        ("model_id: a\n---\nmodel_id: b\n", ":2: no YAML: more than one document"),
        ("model_id: a\n warn: 1\n", ":2: no YAML: mapping values are not allowed here"),
        ("model_id: a\nx: \x07\n", ": no YAML: unacceptable character"),
        ("[" * 1_500, ": no YAML: "),
        ("model_id: a\nwarn: !!float ''\n", ":2: warn is '', which is no float"),
        ("model_id: a\nenabled: !!bool maybe\n", ":2: enabled is 'maybe', which is no bool"),
        ("model_id: a\nbins: !!timestamp x\n", ":2: bins is 'x', which is no timestamp"),
        ('warn: 0.1\nmodel_id: "\\ud800"\n', ":2: model_id must be 1 to 128 letters, digits and"),
        ("model_id: my model\n", ":1: model_id must be 1 to 128 letters, digits and"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = monitor(tmp_path, text)
    with pytest.raises(BadFile) as err:
        read(path)
    assert str(err.value).startswith(f"{path}{said}")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    monitor(tmp_path, "model_id: fraud\n")
    monitor(tmp_path, "x", "b.yml")
    (tmp_path / "more").mkdir()
    monitor(tmp_path / "more", "model_id: fraud\n")
    (tmp_path / ".git").mkdir()
    monitor(tmp_path / ".git", "no monitor")
    with pytest.raises(Failed) as err:
        read_all([tmp_path])
    assert str(err.value).count("\n") == 1
    assert "b.yml:1: no monitor" in str(err.value)
    assert "more/fraud.yaml:1: model_id fraud has a file already" in str(err.value)


def test_a_number_is_not_what_is_on_or_off() -> None:
    assert differences({"enabled": True, "warn": 1.0}, {"enabled": 1, "warn": 1}) == {"enabled": (True, 1)}
    assert differences({"warn": 0.1}, {"wran": 0.1}) == {"wran": (None, 0.1)}


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = monitor(tmp_path, "model_id: fraud\n")
    assert main(["monitors", "apply", "-f", str(path), "--dry-run"]) == 2
    assert "pip install pyyaml" in capsys.readouterr().err


def test_what_cannot_be_asked_is_not_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = monitor(tmp_path, "model_id: fraud\n")
    assert main(["monitors", "apply", "-f", str(path)]) == 2
    assert "--yes" in capsys.readouterr().err

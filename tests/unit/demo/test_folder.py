"""The demo's folder is its own: others' data are never touched, its own are gone at the next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentryml_local.demo.folder import own_folder
from sentryml_local.errors import StackError


def test_what_the_last_demo_left_is_gone(tmp_path: Path) -> None:
    with own_folder(tmp_path / "demo"):
        (tmp_path / "demo" / "kafka").mkdir()
        (tmp_path / "demo" / "kafka" / "segment").write_text("events")
        (tmp_path / "demo" / "stack.json").write_text("{}")
    assert (tmp_path / "demo" / "stack.json").exists()
    with own_folder(tmp_path / "demo"):
        assert [path.name for path in (tmp_path / "demo").iterdir()] == ["demo.lock"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StackError, match="is not a demo"), own_folder(tmp_path):
        pytest.fail("the folder was taken")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with own_folder(tmp_path / "demo"):
        (tmp_path / "demo" / "stack.json").write_text("{}")
        with pytest.raises(StackError, match="a demo is running"), own_folder(tmp_path / "demo"):
            pytest.fail("the folder was taken twice")
        assert (tmp_path / "demo" / "stack.json").exists()

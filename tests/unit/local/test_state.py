"""What a data folder remembers of its stack, also one of an earlier build."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from sentryml_local.state import new_state, own_folder, read_state, with_internal_secret, write_state


def test_a_folder_of_before_services_asked_each_other_reads_and_gets_a_secret_for_it(tmp_path: Path) -> None:
    old = asdict(new_state(8700, 60.0))
    del old["internal_secret"]
    (tmp_path / "stack.json").write_text(json.dumps(old))
    known = read_state(tmp_path)
    assert known is not None
    assert known.internal_secret == ""
    fixed = with_internal_secret(known)
    assert len(fixed.internal_secret) >= 32
    write_state(tmp_path, fixed)
    assert read_state(tmp_path) == fixed == with_internal_secret(fixed)


def test_every_folder_has_a_secret_of_its_own() -> None:
    assert new_state(8700, 60.0).internal_secret != new_state(8700, 60.0).internal_secret


@pytest.mark.parametrize("before", [None, "empty", "stack.json", "demo.lock"])
def test_a_data_folder_is_closed_to_others_also_one_of_an_earlier_build(tmp_path: Path, before: str | None) -> None:
    folder = tmp_path / "data"
    if before is not None:
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
        if before != "empty":
            (folder / before).touch()
    own_folder(folder)
    assert mode_of(folder) == (0o700 if os.geteuid() else 0o711)
    assert not mode_of(folder) & (stat.S_IROTH | stat.S_IRGRP)
    write_state(folder, new_state(8700, 60.0))
    assert mode_of(folder / "stack.json") == 0o600


def test_a_folder_that_holds_something_else_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)
    own_folder(tmp_path)
    assert mode_of(tmp_path) == 0o755


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)

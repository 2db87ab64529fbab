"""What a data folder remembers of its stack, also one of an earlier build."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from sentryml_local.state import new_state, read_state, with_internal_secret, write_state


def test_a_folder_of_before_services_asked_each_other_reads_and_gets_a_secret_for_it(tmp_path: Path) -> None:
    old = asdict(new_state(8700, 60.0))
    del old["internal_secret"]
    (tmp_path / "stack.json").write_text(json.dumps(old))
    known = read_state(tmp_path)
    assert known is not None
    assert known.internal_secret == ""
    mended = with_internal_secret(known)
    assert len(mended.internal_secret) >= 32
    write_state(tmp_path, mended)
    assert read_state(tmp_path) == mended == with_internal_secret(mended)


def test_every_folder_has_a_secret_of_its_own() -> None:
    assert new_state(8700, 60.0).internal_secret != new_state(8700, 60.0).internal_secret

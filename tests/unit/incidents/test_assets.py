"""Files that pages load: under names that hold their hash, and never without one from npm."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sentryml_common.errors import ConfigurationError
from sentryml_incidents.web.assets import FOLDER, FROM_NPM, OURS, asset, read_assets

WITHOUT_ONE = """
import sentryml_incidents.web.assets as assets
assets.FROM_NPM += ("gone.min.js",)
from sentryml_incidents.app import main
main()
"""


def a_folder(folder: Path, content: bytes = b"body{}") -> Path:
    """All files that pages name."""
    (folder / "vendor").mkdir(parents=True)
    for name in OURS:
        (folder / name).write_bytes(content)
    for name in FROM_NPM:
        (folder / "vendor" / name).write_bytes(content)
    return folder


def test_a_name_changes_with_the_content_and_only_with_it(tmp_path: Path) -> None:
    first, same = read_assets(a_folder(tmp_path / "a")), read_assets(a_folder(tmp_path / "b"))
    other = read_assets(a_folder(tmp_path / "c", b"body{margin:0}"))
    assert re.fullmatch(r"app\.[0-9a-f]{12}\.css", first["app.css"].address)
    assert re.fullmatch(r"idiomorph\.min\.[0-9a-f]{12}\.js", first["idiomorph.min.js"].address)
    assert first["app.css"].address == same["app.css"].address != other["app.css"].address
    assert gzip.decompress(other["app.css"].compressed) == other["app.css"].content == b"body{margin:0}"


def test_every_file_of_ours_is_served_and_every_one_from_npm_is_installed() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == set(OURS)
    assert {path.name for path in (FOLDER / "vendor").iterdir()} == set(FROM_NPM)
    assert asset("live.js").startswith("static/live.")


def test_one_that_was_not_installed_is_named_with_what_to_do(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "static")
    (folder / "vendor" / "idiomorph.min.js").unlink()
    with pytest.raises(ConfigurationError, match=r"idiomorph\.min\.js: not installed .* run make install"):
        read_assets(folder)


def test_the_service_does_not_start_without_one() -> None:
    started = subprocess.run([sys.executable, "-c", WITHOUT_ONE], capture_output=True, text=True, check=False)
    assert started.returncode == 78
    assert "gone.min.js: not installed" in started.stderr
    assert "run make install" in started.stderr
    assert "Traceback" not in started.stderr

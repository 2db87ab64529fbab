"""A real Chromium for tests: the machine's own, else the one in the npm package @sparticuz/chromium.

`python -m tests.support.chromium` gets what browser tests need from npm; `make test` does that first, and so does the
first test that needs a browser. Nothing is skipped where there is none: it is an error that says what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright._impl._driver import compute_driver_executable
from playwright.async_api import Browser, async_playwright

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "browser"
PACKAGED = TOOLS / "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FONTS = (
    '<?xml version="1.0"?><fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>'
)


@dataclass(frozen=True, slots=True)
class Chromium:
    """A program, and what its environment needs besides ours."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def install() -> Chromium:
    """Get what browser tests need, unless it is there; returns the Chromium to use.

    Raises:
        AssertionError: there is none, and none can be had; says what to do.
    """
    _npm_install(TOOLS)
    return _of_the_machine() or _of_the_package()


@asynccontextmanager
async def a_browser(*arguments: str) -> AsyncIterator[Browser]:
    """A running Chromium, without a window; `arguments` are its own."""
    found = install()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found.path, args=[*QUIET, *arguments], env={**os.environ, **found.environment}
        )
        try:
            yield browser
        finally:
            await browser.close()


def axe() -> str:
    """The script that looks for what keeps people out."""
    return (TOOLS / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _of_the_machine() -> Chromium | None:
    """The first on PATH that runs: on some machines the name is a stub that asks for something to be installed."""
    paths = (shutil.which(name) for name in NAMES)
    return next((Chromium(Path(path)) for path in paths if path and _runs(path)), None)


def _runs(path: str) -> bool:
    try:
        return subprocess.run([path, "--version"], capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _of_the_package() -> Chromium:
    _npm_install(PACKAGED)
    folder = PACKAGED / "node_modules" / ".unpacked"
    if not folder.exists():
        _unpack(PACKAGED / "node_modules" / "@sparticuz" / "chromium" / "bin", folder)
    environment = {"LD_LIBRARY_PATH": str(folder / "lib")}
    if not Path("/etc/fonts/fonts.conf").exists():
        environment["FONTCONFIG_FILE"] = str(folder / "fonts.conf")
    found = Chromium(folder / "chromium", environment)
    tried = subprocess.run(
        [found.path, "--version"], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert tried.returncode == 0, f"the Chromium of @sparticuz/chromium does not run here: {tried.stderr.strip()}"
    return found


def _unpack(packed: Path, folder: Path) -> None:
    """Programs, libraries and fonts into `folder`, which is there only when all are."""
    partial = folder.with_name(f"{folder.name}-{os.getpid()}")
    (partial / "lib").mkdir(parents=True)
    node, _ = compute_driver_executable()
    for name in ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"):
        subprocess.run([node, PACKAGED / "unpack.mjs", packed / f"{name}.br", partial / name], check=True)
    for name in ("al2023.tar", "fonts.tar", "swiftshader.tar"):
        subprocess.run(["tar", "xf", name], cwd=partial, check=True)
        (partial / name).unlink()
    (partial / "chromium").chmod(0o755)
    (partial / "fonts.conf").write_text(FONTS.format(folder=folder))
    partial.rename(folder)


def _npm_install(folder: Path) -> None:
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    command = [str(ROOT / "deploy" / "npm-install"), str(folder.relative_to(ROOT)), uv, sys.executable]
    done = subprocess.run(command, stdout=sys.stderr, check=False)
    assert done.returncode == 0, f"the npm packages of {folder.relative_to(ROOT)} are missing"


if __name__ == "__main__":
    try:
        install()
    except AssertionError as err:
        sys.exit(
            f"No browser for tests: {err}. Or install a Chromium (Debian: apt install chromium), and run make again."
        )

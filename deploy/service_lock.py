"""Prints the part of requirements.lock that some of our projects need: `service_lock.py LOCK PROJECT_FOLDER...`; with
those of the extras that the environment names in EXTRAS.

An image holds what its service needs, and every byte of that is checked against the lock's hashes. pip says which
packages those are, at the lock's versions; one that the lock does not hold is an error, never a download unchecked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

OURS = "sentryml"
FOLDERS = {OURS: "client"}
HASH = re.compile(r"\s*\\\n\s+--hash=\S+")


def with_libraries(projects: Iterable[Path], libraries: Path) -> list[Path]:
    """The projects, and those of our libraries that they need, directly or not."""
    found: list[Path] = []
    waiting = list(projects)
    while waiting:
        folder = waiting.pop()
        if folder not in found:
            found.append(folder)
            needed = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]
            waiting += [libraries / library_of(each)[0] for each in needed if is_ours(each)]
    return found


def is_ours(requirement: str) -> bool:
    """Whether it is one of our own projects: the client is `sentryml`, the others are `sentryml-…`."""
    return re.match(rf"{OURS}(-|\[|$)", requirement) is not None


def library_of(requirement: str) -> tuple[str, list[str]]:
    """The folder of one of our libraries, and the extras of it that are needed: `sentryml-common[server]`."""
    name, _, extras = requirement.partition("[")
    folder = FOLDERS.get(name, name.removeprefix(f"{OURS}-"))
    return folder, [each for each in extras.rstrip("]").split(",") if each]


def direct_requirements(projects: Iterable[Path], extras: Sequence[str] = ()) -> list[str]:
    """What the projects ask for, other than each other; and for their `extras`, where they have them, and those extras
    that they need of each other."""
    found = []
    read = [tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in projects]
    needed = [each for project in read for each in project["dependencies"] if is_ours(each)]
    extras = sorted({*extras, *(extra for each in needed for extra in library_of(each)[1])})
    for project in read:
        optional = project.get("optional-dependencies", {})
        asked = [*project["dependencies"], *(each for extra in extras for each in optional.get(extra, ()))]
        found += [requirement for requirement in asked if not is_ours(requirement)]
    return found


def entries(lock: str) -> dict[str, str]:
    """The lock's text by package; a package locked once per Python version has all its entries together."""
    by_package: dict[str, str] = {}
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        name = canonical(entry.partition("==")[0])
        by_package[name] = by_package.get(name, "") + entry
    return by_package


def canonical(name: str) -> str:
    """A package's name as all tools agree on it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(requirements: list[str], lock: str) -> set[str]:
    """The packages that `requirements` need, directly or not, on this Python, at the lock's versions."""
    versions = Path("constraints.txt")
    versions.write_text(HASH.sub("", lock))
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", "-", "-c", str(versions)]
    command = [sys.executable, "-m", "pip", "install", *options, *requirements]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {canonical(found["metadata"]["name"]) for found in report["install"]}


def select(packages: set[str], lock: str) -> str:
    """The entries of `packages`; leaves with a message if one has none."""
    held = entries(lock)
    missing = sorted(packages - held.keys())
    if missing:
        sys.exit(f"not in the lock: {', '.join(missing)}. Regenerate it with `make lock`.")
    return "".join(held[package] for package in sorted(packages))


if __name__ == "__main__":
    lock_text = Path(sys.argv[1]).read_text()
    projects = with_libraries(map(Path, sys.argv[2:]), Path("libs"))
    required = direct_requirements(projects, os.environ.get("EXTRAS", "").split())
    sys.stdout.write(select(resolve(required, lock_text), lock_text))

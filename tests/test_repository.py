"""House rules that a machine can check, as tests over the repository. Each ban names its replacement."""

from __future__ import annotations

import ast
import json
import posixpath
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.support.scheduling import group_of

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("ingest", "drift", "incidents", "notifier", "tap")
SKELETON = ("__init__.py", "__main__.py", "app.py", "settings.py", "metrics.py", "py.typed", "domain")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
MODULES_MAX = 15
"""In a folder, beside `__init__.py`: more are two things."""
FILE_BYTES_MAX = 500_000

BANNED = {
    r"\bdatetime\.(now|utcnow|today)\(": "take a Clock (sentryml_common.clock) as an argument",
    r"\btime\.sleep\(": "wait on a condition",
    r"\buuid4\(": "take ids as arguments, or derive them (uuid5)",
    r"\bprint\(": "log (sentryml_common.logging)",
    r"\b(TODO|FIXME|XXX)\b": "file an issue",
    r"pytest\.(mark\.)?(skip|xfail)": "install what is missing; nothing is skipped",
}
ALLOWED = {
    ("libs/common/sentryml_common/clock.py", r"\bdatetime\.(now|utcnow|today)\("),
    ("tests/test_repository.py", r"\b(TODO|FIXME|XXX)\b"),
}
NON_TERMS = (
    "told", "untold", "anew", "mend", "dear", "whoever", "heard", "keeper", "roster", "detour", "lately", "so many",
    "stuck", "wanted", "typed", "who asks",
)  # fmt: skip
NOT_YET_PLAIN = (
    "CHANGELOG.md", "tests/test_repository.py", "services/incidents/package-lock.json",
)  # fmt: skip
"""They hold the words for another reason. Applied migrations are as they were."""
IMPURE = re.compile(r"^\s*(import|from)\s+(random|secrets|time|asyncio|socket|os|pathlib|logging)\b", re.MULTILINE)
REGISTRY_HOSTS = re.compile(
    r"(pypi\.org|pythonhosted\.org|registry\.npmjs|repo1?\.maven|npmjs\.org|docker\.io|ghcr\.io)", re.I
)


@cache
def tracked(*endings: str) -> tuple[Path, ...]:
    """The files of the repository with one of `endings` (tracked, or new and not ignored)."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\n")  # fmt: skip
    paths = (ROOT / name for name in sorted(set(listed)) if name)
    return tuple(path for path in paths if path.is_file() and (not endings or path.name.endswith(endings)))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def production_code() -> list[Path]:
    return [path for path in tracked(".py") if not name_of(path).startswith("tests/")]


def test_files_and_functions_are_small() -> None:
    found = []
    for path in tracked(".py"):
        text = path.read_text()
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            found.append(f"{name_of(path)} has {lines} lines (at most {FILE_LINES_MAX}): split it")
        if name_of(path).startswith("tests/"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    found.append(f"{name_of(path)}:{node.lineno} {node.name} has {size} lines: split it")
    assert not found, "\n".join(found)


def test_folders_are_small() -> None:
    modules = Counter(path.parent for path in production_code() if path.name != "__init__.py")
    assert not {str(folder.relative_to(ROOT)): count for folder, count in modules.items() if count > MODULES_MAX}


@pytest.mark.parametrize("pattern", BANNED)
def test_nothing_banned_is_called(pattern: str) -> None:
    commands = ("deploy/local/",)  # programs for a terminal print
    found = [
        f"{name_of(path)}: {pattern}: {BANNED[pattern]}"
        for path in tracked(".py")
        if (name_of(path), pattern) not in ALLOWED
        and not (pattern == r"\bprint\(" and name_of(path).startswith(commands))
        and path.name != "test_repository.py"
        and re.search(pattern, path.read_text())
    ]
    assert not found, "\n".join(found)


def test_domain_code_asks_neither_clock_nor_chance_nor_disk() -> None:
    found = [
        name_of(path) for path in production_code() if "/domain/" in name_of(path) and IMPURE.search(path.read_text())
    ]
    assert not found, f"domain code takes these as arguments: {found}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_skeleton(service: str) -> None:
    package = ROOT / "services" / service / f"sentryml_{service}"
    missing = [part for part in SKELETON if not (package / part).exists()]
    assert not missing, f"{service} lacks {missing}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [name_of(path) for path in production_code() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent, f"no module docstring: {silent}"


def test_sql_lives_in_stores_and_migrations() -> None:
    statement = re.compile(r"\"{1,3}\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM)\s", re.MULTILINE)
    allowed = re.compile(r"(store|store/\w+|\w+_store|migrate)\.py$|/store/")
    found = [
        name_of(path)
        for path in production_code()
        if name_of(path).startswith("services/")
        and statement.search(path.read_text())
        and not allowed.search(name_of(path))
    ]
    assert not found, f"SQL outside store.py: {found}"


def test_services_that_tests_start_on_one_kafka_are_no_two_of_a_group_at_a_time() -> None:
    folder = ROOT / "tests/integration"
    files = [path for name in ("incidents", "keys", "notifier") for path in (folder / name).glob("test_*.py")]
    starting = [path for path in files if "(\n    kafka_bootstrap: str" in path.read_text()]
    names = [str(path.relative_to(ROOT / "tests")) for path in starting]
    assert len(names) > 5
    prefixed = "integration/notifier/test_chaos.py"
    assert [name for name in names if group_of(name) != "services"] == [prefixed]


def test_no_registry_host_and_no_build_output_is_committed() -> None:
    hosts = [name_of(path) for path in tracked() if path.name != "test_repository.py" and _names_a_registry(path)]
    assert not hosts, f"name packages, never a registry's host: {hosts}"
    large = [name_of(path) for path in tracked() if path.stat().st_size > FILE_BYTES_MAX]
    assert not large, f"over {FILE_BYTES_MAX} bytes: {large}"
    assert not (set(map(name_of, tracked("uv.lock", ".pyc", ".whl", ".jar")))), "build output is not committed"


def _names_a_registry(path: Path) -> bool:
    try:
        return REGISTRY_HOSTS.search(path.read_text()) is not None
    except UnicodeDecodeError:
        return False


@pytest.mark.parametrize("lock", ["requirements.lock", "bench/rivals/requirements.lock"])
def test_a_lock_has_a_hash_for_every_package(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.findall(r"^\S+==\S+", text, re.MULTILINE)
    blocks = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert len(packages) > 50
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_lock_of_what_pages_load_has_a_hash_and_no_address_for_every_package() -> None:
    packages = json.loads((ROOT / "services/incidents/package-lock.json").read_text())["packages"]
    loaded = {name: package for name, package in packages.items() if name}
    assert loaded
    assert all(package["integrity"].startswith("sha512-") for package in loaded.values())
    assert not [name for name, package in loaded.items() if "resolved" in package]


NAMED_FILE = re.compile(r"(?<![\w/.$}~{-])((?:[\w.-]+/)+[\w.-]+\.(?:md|py|sql|html|js|yml|toml))\b")
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")
NOT_COMMITTED = ("node_modules/", "vendor/")


def test_every_file_that_is_named_exists() -> None:
    """A path may leave out its beginning, and the folder that a package shares with all its files."""
    known = set()
    for name in map(name_of, tracked()):
        for path in (name, re.sub(r"/sentryml_\w+(?=/)", "", name)):
            parts = path.split("/")
            known |= {"/".join(parts[first:]) for first in range(len(parts))}
    found = []
    for path in tracked(".py", ".md", ".js", ".html", ".yml", ".toml", "Makefile", "Dockerfile", ".example"):
        text = path.read_text()
        named = [each for each in NAMED_FILE.findall(text) if not any(part in each for part in NOT_COMMITTED)]
        found += [
            f"{name_of(path)} names {each}" for each in named if posixpath.normpath(each).lstrip("./") not in known
        ]
        links = LINK.findall(text) if path.suffix == ".md" else []
        found += [f"{name_of(path)} links to {each}" for each in links if not (path.parent / each).exists()]
    assert not found, "\n".join(found)


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    missing = [target for target in phony[1].split() if f"make {target} " not in shown]
    assert not missing, f"give these a ## comment: {missing}"


@pytest.mark.parametrize("word", NON_TERMS)
def test_plain_terms_are_used(word: str) -> None:
    found = [
        name_of(path)
        for path in tracked(".py", ".md", ".yml", ".html", ".js", ".css", ".toml", ".json", ".example", "Makefile")
        if not name_of(path).startswith(NOT_YET_PLAIN)
        if re.search(rf"\b{word}\b", path.read_text(), re.IGNORECASE)
    ]
    assert not found, f"{word!r} is no term of the field (docs/glossary.md): {found}"

"""docs/api.md against the code: every problem that a service may answer with is explained there, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()

MADE_FROM_OTHERS = {
    "not-found", "method-not-allowed",  # the framework's own
    "not-events", "no-events", "not-columns",  # the reasons of what is no event at all
}  # fmt: skip
KIND = re.compile("[a-z]+(-[a-z]+)*")


def kinds_in(code: str) -> set[str]:
    """The kinds of all problems that a module makes: `Problem(409, "…")`, (409, "…") in a table, `moved_on("…", …)`."""
    kinds = set()
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(func=ast.Name(id="Problem"), args=[_, ast.Constant(value=str(kind)), *_]):
                kinds.add(kind)
            case ast.Tuple(elts=[ast.Constant(value=int(status)), ast.Constant(value=str(kind))]) if (
                400 <= status < 600 and KIND.fullmatch(kind)
            ):
                kinds.add(kind)
            case ast.Call(func=ast.Name(id="moved_on"), args=[ast.Constant(value=str(what)), *_]):
                kinds.add(f"{what}-moved-on")
    return kinds


def test_every_problem_is_explained_and_no_other() -> None:
    files = [*ROOT.glob("services/*/sentryml_*/**/*.py"), *ROOT.glob("libs/common/**/http/*.py")]
    made = set().union(*(kinds_in(path.read_text()) for path in files)) | MADE_FROM_OTHERS
    table = PAGE.partition("\n## Problems\n")[2]
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))
    assert made - explained == set(), "explain these in docs/api.md"
    assert explained - made == set(), "no service answers with these"

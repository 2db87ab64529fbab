"""`sentryml monitors apply`: show what files would change, ask, and put it in force; a second run does nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from sentryml.command.api import Api, Refused, model_path
from sentryml.command.monitors.files import read_all
from sentryml.command.monitors.plan import Change, Plan, Unchanged, explain, make_plan, show
from sentryml.command.terminal import DIFFERS, FAILED, OK, USAGE, Failed, Terminal

SOURCE_LENGTH_MAX = 200


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Compare, ask, change."""
    may_ask = sys.stdin is not None and sys.stdin.isatty() and not arguments.json
    if not (arguments.dry_run or arguments.yes or may_ask):
        raise Failed("nobody is there to ask: say --yes, or --dry-run to see what would change", USAGE)
    files = read_all(arguments.files)
    if not files:
        raise Failed(f"{', '.join(map(str, arguments.files))}: no YAML file; sentryml monitors export writes some")
    named = [replace(each, source=_source(each.path, arguments)) for each in files]
    with Api(arguments.url) as api:
        plan = make_plan(api, named, terminal, skip_unknown=arguments.skip_unknown)
        show(plan, terminal)
        if arguments.dry_run:
            terminal.result({**plan.document(), "applied": []})
            return DIFFERS if plan.changes or plan.taken_over else OK
        if (plan.changes or plan.taken_over) and not (arguments.yes or terminal.ask("Put the files in force?")):
            terminal.say("Nothing was changed.")
            return FAILED
        return _apply(api, plan, terminal)


def _apply(api: Api, plan: Plan, terminal: Terminal) -> int:
    """Change what differs, and mark what does not as managed by its file, where it is not yet."""
    applied, errors = [], []
    todo: list[Change | Unchanged] = [*plan.changes, *(each for each in plan.unchanged if not each.marked)]
    for each in todo:
        try:
            version = _put(api, each)
        except Refused as err:
            errors += explain(each.file, err)
            continue
        if isinstance(each, Change):
            applied.append(each.file.model_id)
            terminal.say(f"changed: {each.file.model_id}, now at version {version}")
    terminal.result({**plan.document(), "applied": applied})
    for text in errors:
        terminal.warn(text)
    if plan.changes or errors:
        terminal.say(f"{len(applied)} changed, {len(plan.unchanged)} unchanged, {len(errors)} refused.")
    return FAILED if errors else OK


def _put(api: Api, each: Change | Unchanged) -> int:
    """Only while it is still the version that was shown. All settings of the file are sent: it manages those."""
    path = f"{model_path(each.file.model_id, 'monitor')}?{urlencode({'managed_by': each.file.source})}"
    monitor = api.put(path, dict(each.file.settings), if_match=f'"v{each.version}"')
    return int(monitor["version"])


def _source(path: Path, arguments: argparse.Namespace) -> str:
    """What the monitor's page calls a file: the same wherever the folder lies, so that it does not change with it."""
    within = str(arguments.managed_by or "").strip() or _within(path.resolve(), arguments.files)
    return "".join(char if char.isprintable() else "?" for char in within)[-SOURCE_LENGTH_MAX:]


def _within(path: Path, given: Sequence[Path]) -> str:
    """The path from the folder that was given on, that included; of a file that was given, its name."""
    folder = next((each for each in map(Path.resolve, given) if each.is_dir() and path.is_relative_to(each)), path)
    return path.relative_to(folder.parent).as_posix()

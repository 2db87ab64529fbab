"""`sentryml monitors apply`: show what files would change, ask, and put it in force; a second run does nothing."""

from __future__ import annotations

import argparse
import sys

from sentryml.command.api import Api, Refused
from sentryml.command.monitors.files import read_all
from sentryml.command.monitors.plan import Change, Plan, explain, make_plan, path_of, show
from sentryml.command.terminal import DIFFERS, FAILED, OK, USAGE, Failed, Terminal


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Compare, ask, change."""
    may_ask = sys.stdin is not None and sys.stdin.isatty() and not arguments.json
    if not (arguments.dry_run or arguments.yes or may_ask):
        raise Failed("nobody is there to ask: say --yes, or --dry-run to see what would change", USAGE)
    files = read_all(arguments.files)
    if not files:
        raise Failed(f"{', '.join(map(str, arguments.files))}: no YAML file; sentryml monitors export writes some")
    api = Api(arguments.url)
    try:
        plan = make_plan(api, files, terminal, skip_unknown=arguments.skip_unknown)
        show(plan, terminal)
        if arguments.dry_run or not plan.changes:
            terminal.result({**plan.document(), "applied": []})
            return DIFFERS if plan.changes else OK
        if not (arguments.yes or terminal.ask("Put the files in force?")):
            terminal.say("Nothing was changed.")
            return FAILED
        return _apply(api, plan, terminal)
    finally:
        api.close()


def _apply(api: Api, plan: Plan, terminal: Terminal) -> int:
    applied, errors = [], []
    for change in plan.changes:
        try:
            version = _put(api, change)
        except Refused as err:
            errors += explain(change.file, err)
            continue
        applied.append(change.file.model_id)
        terminal.say(f"changed: {change.file.model_id}, now at version {version}")
    terminal.result({**plan.document(), "applied": applied})
    for each in errors:
        terminal.warn(each)
    terminal.say(f"{len(applied)} changed, {len(plan.unchanged)} unchanged, {len(errors)} refused.")
    return FAILED if errors else OK


def _put(api: Api, change: Change) -> int:
    """Only while it is still the version that was shown."""
    monitor = api.put(path_of(change.file), change.requested, if_match=f'"v{change.version}"')
    return int(monitor["version"])

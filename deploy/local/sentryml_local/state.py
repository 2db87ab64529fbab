"""What a data folder remembers of its stack: the ports, and credentials made afresh for it (mode 0600)."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sentryml_local.errors import StackError


@dataclass(frozen=True, slots=True)
class StackState:
    """The state of one data folder; the keys are empty until incidents has made them, and folders of
    before services asked each other have no secret for that."""

    port_base: int
    fine_pane_seconds: float
    postgres_password: str
    secret_key: str
    admin_email: str
    admin_password: str
    events_key: str = ""
    admin_key: str = ""
    internal_secret: str = ""

    @property
    def has_keys(self) -> bool:
        """Whether the API keys have been made."""
        return bool(self.events_key and self.admin_key)

    def with_options(self, port_base: int | None, fine_pane_seconds: float | None) -> StackState:
        """The same stack on other ports, or with other panes, where these are given."""
        return replace(
            self,
            port_base=self.port_base if port_base is None else port_base,
            fine_pane_seconds=self.fine_pane_seconds if fine_pane_seconds is None else fine_pane_seconds,
        )


def with_internal_secret(state: StackState) -> StackState:
    """The same state, with a secret for what services ask each other if it has none yet."""
    return state if state.internal_secret else replace(state, internal_secret=secrets.token_urlsafe(32))


def new_state(port_base: int, fine_pane_seconds: float) -> StackState:
    """A state with fresh secrets."""
    return StackState(
        port_base=port_base,
        fine_pane_seconds=fine_pane_seconds,
        postgres_password=secrets.token_urlsafe(18),
        secret_key=secrets.token_urlsafe(32),
        admin_email="admin@sentryml.local",
        admin_password=secrets.token_urlsafe(12),
        internal_secret=secrets.token_urlsafe(32),
    )


MARKS = frozenset({"stack.json", "up.lock", "demo.lock"})
"""Each shows that a folder is a stack's own."""


def own_folder(folder: Path) -> None:
    """Make a data folder that nobody else can read, and close one of an earlier build. A folder that holds something
    else stays as it is: somebody has named it by mistake."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = {path.name for path in folder.iterdir()}
    if not inside or inside & MARKS:
        private_folder(folder, holds_postgres=True)


def private_folder(folder: Path, *, holds_postgres: bool = False) -> None:
    """Make a folder that nobody else can read. As root, PostgreSQL runs as another user, who may pass through."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711 if holds_postgres and os.geteuid() == 0 else 0o700)


def read_state(folder: Path) -> StackState | None:
    """The state of a folder, or None where there is none yet.

    Raises:
        StackError: the file does not read.
    """
    file = folder / "stack.json"
    if not file.exists():
        return None
    try:
        return StackState(**json.loads(file.read_text()))
    except (ValueError, TypeError) as err:
        raise StackError(f"{file} cannot be read ({err}): remove the folder {folder} to start again") from err


def write_state(folder: Path, state: StackState) -> None:
    """Keep the state; readable by its owner alone."""
    own_folder(folder)
    part = folder / "stack.json.part"
    part.touch(mode=0o600)
    part.write_text(json.dumps(asdict(state), indent=2))
    part.replace(folder / "stack.json")

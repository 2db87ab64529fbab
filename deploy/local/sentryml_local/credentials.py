"""The two API keys and the first admin, made by `sentryml-admin` once per data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from sentryml_local.errors import StackError
from sentryml_local.state import StackState

ACCOUNT_THERE = "there is an account"
"""What sentryml-admin says if an `up` that was interrupted had made the admin, with the password we remember."""


def with_credentials(state: StackState, settings: Mapping[str, str]) -> StackState:
    """The same state with keys; `settings` are those of the services.

    Raises:
        StackError: they could not be made.
    """
    asked = (
        ["create-api-key", "--name", "local-events", "--scope", "events:write"],
        ["create-api-key", "--name", "local-admin", "--scope", "admin"],
        ["create-admin", "--email", state.admin_email, "--password-stdin"],
    )
    with ThreadPoolExecutor() as together:
        events_key, admin_key, _ = together.map(partial(_admin, state.admin_password, settings), asked)
    return replace(state, events_key=events_key, admin_key=admin_key)


def _admin(password: str, settings: Mapping[str, str], arguments: Sequence[str]) -> str:
    """What one command of sentryml-admin prints."""
    result = subprocess.run(
        [sys.executable, "-m", "sentryml_incidents.cli.admin", *arguments],
        input=password,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode and ACCOUNT_THERE not in result.stderr:
        raise StackError(f"sentryml-admin {' '.join(arguments)} failed: {result.stderr.strip()[-500:]}")
    return result.stdout.strip()

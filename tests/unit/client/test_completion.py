"""What the shells complete: commands, options and choices of the command `sentryml`; else they offer files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sentryml.command.__main__ import main


def completed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["__complete", *words]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mo"], ["models", "monitors"]),
        (["incidents", "ac"], ["ack", "accept"]),
        (["models", "--level", "w"], ["warn"]),
        (["models", "--level", "warn", "--l"], ["--level", "--limit"]),
        (["monitors", "apply", "-f", "mon"], []),
        (["monitors", "apply", "--d"], ["--dry-run"]),
        (["monitors", "apply", "--dry-run", "--y"], ["--yes"]),
        (["send", "pred"], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nothing", "x"], []),
    ],
)
def test_what_may_come_next_is_offered(
    capsys: pytest.CaptureFixture[str], words: list[str], expected: list[str]
) -> None:
    assert completed(capsys, *words) == expected


def test_all_commands_are_offered_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"send", "backtest", "incidents", "doctor"} <= set(completed(capsys))


SHELLS = {
    "bash": 'eval "$(sentryml completion bash)"; COMP_WORDS=(sentryml incidents was); COMP_CWORD=2; _sentryml; '
    'echo "${COMPREPLY[@]}"; complete -p sentryml | grep -c "complete -o default"',
    "zsh": "compdef() { defined=$2 }; compadd() { print -r -- $2 }; words=(sentryml incidents was); CURRENT=3; "
    'eval "$(sentryml completion zsh)"; _sentryml; [[ $defined == sentryml ]]; print $?',
    "fish": 'sentryml completion fish | source; complete -C "sentryml incidents was"; complete -C "sentryml backt"',
}
"""Asks each for what may follow: of zsh, its function alone, since it completes nowhere but in a terminal."""


@pytest.mark.parametrize("shell", [each for each in SHELLS if shutil.which(each)])
def test_the_shells_of_this_machine_complete(tmp_path: Path, shell: str) -> None:
    """Bash is everywhere; zsh and fish are asked where they are installed."""
    command = tmp_path / "sentryml"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sentryml.command "$@"\n')
    command.chmod(0o755)
    found = subprocess.run(
        ["/usr/bin/env", shell, "-c", SHELLS[shell]],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    second = {"bash": "1", "zsh": "0", "fish": "backtest"}[shell]
    assert found.stdout.splitlines() == ["was-normal", second]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    assert "sentryml __complete" in capsys.readouterr().out

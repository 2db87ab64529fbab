"""What the shells complete: commands, options and choices of the command `sentryml`; else they offer files."""

from __future__ import annotations

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


def test_bash_completes(tmp_path: Path) -> None:
    """In a real one, which has nothing else but the command on its path."""
    script = 'eval "$(sentryml completion bash)"; COMP_WORDS=(sentryml incidents was); COMP_CWORD=2; _sentryml; '
    command = tmp_path / "sentryml"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sentryml.command "$@"\n')
    command.chmod(0o755)
    found = subprocess.run(
        ["/usr/bin/env", "bash", "-euc", script + 'echo "${COMPREPLY[@]}"; complete -p sentryml'],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == ["was-normal", "complete -o default -F _sentryml sentryml"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    assert "sentryml __complete" in capsys.readouterr().out

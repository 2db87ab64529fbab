"""The data folder of a stack is nobody else's business: keys, passwords, people's names and messages are in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.integration.test_local_stack import down_at_the_end, servers_in


def test_nobody_else_can_read_what_is_in_the_folder(tmp_path: Path) -> None:
    """As root, PostgreSQL's user passes the folders on the way to its own."""

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    def reachable(folder: Path) -> Iterator[Path]:
        for path in folder.iterdir():
            yield path
            if path.is_dir() and mode(path) & stat.S_IXOTH:
                yield from reachable(path)

    with down_at_the_end(servers_in(tmp_path / "data")) as stack:
        stack.up()
    assert mode(stack.folder) == (0o700 if os.geteuid() else 0o711)
    assert [path for path in reachable(stack.folder) if mode(path) & 0o066 and path.name != "up.lock"] == []
    assert mode(stack.folder / "stack.json") == 0o600
    assert mode(stack.folder / "kafka") == mode(stack.folder / "logs") == 0o700

"""Which tests run on the same worker."""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

SHARING = ("e2e", "browser")
"""Folders whose tests share a stack."""


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Tests of one file run on one worker, and so do all of a folder that shares a stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        folder = file.split("/")[1]
        return folder if folder in SHARING else file

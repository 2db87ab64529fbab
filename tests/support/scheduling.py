"""Which tests run on the same worker, and in which order."""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

GROUPS = {
    "e2e/": "e2e",
    "browser/": "browser",
    "integration/drift/": "drift",
    "integration/incidents/test_preview_from_panes.py": "drift",
    "integration/incidents/test_service.py": "services",
    "integration/keys/": "services",
    "integration/notifier/test_bot_service.py": "services",
    "integration/notifier/test_delivery_reports.py": "services",
    "integration/notifier/test_secrecy.py": "services",
    "integration/notifier/test_service.py": "services",
}
"""Files, by the beginnings of their paths, whose tests share a stack, a Kafka of their own, or, in that of all tests,
the consumer groups of services: two at a time would share out the records."""
FIRST = (*dict.fromkeys(GROUPS.values()), "integration/")


def group_of(path: str) -> str:
    """What the tests of a file, by its path within `tests`, run together with on one worker."""
    return next((group for beginning, group in GROUPS.items() if path.startswith(beginning)), path)


def place_of(path: str) -> int:
    """A file's place in a run: tests with real processes wait the most, so they begin first."""
    group = group_of(path)
    return next((place for place, name in enumerate(FIRST) if group.startswith(name)), len(FIRST))


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Tests of one group run on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(str(super()._split_scope(nodeid)).removeprefix("tests/"))

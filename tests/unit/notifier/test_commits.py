"""Whether commits stand still, by what is committed and where the partitions end."""

from __future__ import annotations

from datetime import timedelta

from sentryml_notifier.domain.system_alerts.commits import Stands, observe, stalled_since
from tests.unit.notifier.builders import NIGHT


class Checks:
    """Checks each five minutes one partition."""

    def __init__(self) -> None:
        self.stands: Stands = {}
        self.minutes = 0

    def at(self, committed: int, end: int) -> float | None:
        """Check; returns for how many minutes commits have stood still."""
        now = NIGHT + timedelta(minutes=self.minutes)
        self.stands = observe(self.stands, {0: committed}, {0: end}, now)
        since = stalled_since(self.stands, {0: end}, now)
        self.minutes += 5
        return None if since is None else (now - since).total_seconds() / 60


def test_commits_stall_where_records_come_in_and_nothing_is_committed_for_half_an_hour() -> None:
    checks = Checks()
    assert [checks.at(100, 100 + 5_000 * number) for number in range(8)] == [*[None] * 6, 30, 35]
    assert checks.at(30_000, 45_000) is None


def test_few_records_may_stay_uncommitted_for_hours() -> None:
    checks = Checks()
    assert [checks.at(100, 100 + 100 * number) for number in range(50)] == [None] * 50


def test_a_backlog_that_is_worked_off_is_no_fault() -> None:
    checks = Checks()
    assert [checks.at(1_000 * number, 900_000 + 10_000 * number) for number in range(20)] == [None] * 20


def test_a_partition_that_is_gone_is_forgotten() -> None:
    stands = observe({}, {0: 1, 1: 1}, {0: 1, 1: 1}, NIGHT)
    assert observe(stands, {1: 1}, {1: 1}, NIGHT).keys() == {1}
    assert observe({}, {}, {}, NIGHT) == {}

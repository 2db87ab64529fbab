"""The evaluations that an incident keeps: each named once, by everything that it is kept for."""

from __future__ import annotations

from uuid import UUID

from sentryml_incidents.domain.evidence_choices import CALLED, WHEN, Moment, choices
from sentryml_lifecycle.snapshot import EvidenceRole
from tests.unit.incidents.builders import at

FIRST, SECOND, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)
KEPT = [
    Moment(EvidenceRole.RESOLVED, THIRD, at(9)),
    Moment(EvidenceRole.PEAK, SECOND, at(2)),
    Moment(EvidenceRole.ESCALATED, SECOND, at(2)),
    Moment(EvidenceRole.OPENED, FIRST, at(1)),
]


def test_each_evaluation_is_listed_once_and_in_time() -> None:
    assert [(each.evaluation_id, each.called) for each in choices(KEPT, None)] == [
        (FIRST, "opened"), (SECOND, "escalated, peak"), (THIRD, "resolved"),
    ]  # fmt: skip
    assert choices(KEPT, None)[1].when == "When it got critical, at its worst"


def test_the_newest_evaluation_comes_last_and_may_be_one_of_them() -> None:
    assert [each.called for each in choices(KEPT[1:], (THIRD, at(9)))][-1] == "latest evaluation"
    assert [each.called for each in choices(KEPT[1:], (SECOND, at(2)))] == [
        "opened",
        "escalated, peak, latest evaluation",
    ]


def test_every_role_has_words() -> None:
    assert set(CALLED) == set(WHEN) == set(EvidenceRole)

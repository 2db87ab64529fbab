"""Which models the overview shows first, and which alert groups."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sentryml_common.contracts.evaluation import Level
from sentryml_common.contracts.transition import Severity, State
from sentryml_incidents.domain.overview import LiveGroup, ModelStanding, Section, distinct_groups, overview_of
from tests.unit.incidents.builders import at

FIRST, SECOND, THIRD, FOURTH = (UUID(int=number) for number in range(1, 5))


def a_standing(model_id: str, level: Level | None = Level.OK, **changes: Any) -> ModelStanding:
    known: dict[str, Any] = {
        "enabled": True, "psi": 0.01, "silent": False, "evaluated": True, "missed_since": None, "severity": None,
        "state": None,
    }  # fmt: skip
    return ModelStanding(model_id=model_id, level=level, **known | changes)


def an_incident(severity: str, state: str = "open", psi: float = 0.2) -> dict[str, Any]:
    return {"severity": Severity(severity), "state": State(state), "psi": psi}


MODELS = (
    a_standing("a-fine"),
    a_standing("b-off", Level.CRITICAL, enabled=False, silent=True),
    a_standing("c-warming-up", Level.INSUFFICIENT_DATA),
    a_standing("d-new", None, evaluated=False),
    a_standing("e-missed", Level.WARN, missed_since=at(1)),
    a_standing("f-silent", Level.WARN, silent=True, **an_incident("warn")),
    a_standing("g-warned", Level.WARN, **an_incident("warn", psi=0.19)),
    a_standing("h-warned-more", Level.WARN, **an_incident("warn", psi=0.2)),
    a_standing("i-seen", Level.CRITICAL, **an_incident("critical", "acknowledged", 5.0)),
    a_standing("j-critical", Level.CRITICAL, **an_incident("critical", psi=0.4)),
    a_standing("k-missed-while-drifting", Level.WARN, missed_since=at(1), **an_incident("warn", psi=0.11)),
    a_standing("l-silent-and-critical", Level.CRITICAL, silent=True, **an_incident("critical", psi=0.3)),
    a_standing("m-better-but-not-over", Level.OK, **an_incident("warn", psi=0.05)),
    a_standing("n-not-confirmed-yet", Level.WARN, psi=0.5),
)


def test_the_worst_comes_first_and_all_others_by_name() -> None:
    overview = overview_of(reversed(MODELS), "", None)
    assert [each.model_id[0] for each in overview.found] == [*"jlihgkmn", "f", "e", "c", "d", "a", "b"]
    assert overview.counts == {
        Section.DRIFTING: 8, Section.SILENT: 1, Section.NOT_EVALUATED: 1, Section.NOT_COMPARED: 2, Section.OK: 1,
        Section.OFF: 1,
    }  # fmt: skip
    assert overview.total == len(MODELS)


def test_a_section_alone_keeps_the_counts_of_what_matches() -> None:
    overview = overview_of(MODELS, "SILENT", Section.SILENT)
    assert [each.model_id for each in overview.found] == ["f-silent"]
    assert (overview.counts[Section.DRIFTING], overview.counts[Section.SILENT], overview.total) == (1, 1, 2)


def a_group(number: int, *live: UUID, silent: int = 0) -> LiveGroup:
    return LiveGroup(UUID(int=100 + number), number, 5, list(live), silent, 1, 1, at(number))


def test_the_same_incidents_on_another_channel_are_no_second_group() -> None:
    smaller, larger, other = a_group(1, FIRST, SECOND), a_group(2, FIRST, SECOND, THIRD), a_group(3, THIRD, FOURTH)
    again = a_group(4, FIRST, SECOND, THIRD)
    assert distinct_groups([smaller, larger, other, again]) == [larger, other]


def test_a_group_is_described_by_what_its_models_do_now() -> None:
    assert a_group(1, FIRST, SECOND, THIRD, silent=1).text == "5 models: 2 drift, 1 is silent, 2 are over"

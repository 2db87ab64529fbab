"""What the benchmarks of incidents and of pages are fed with."""

from __future__ import annotations

from datetime import timedelta

from bench.incidents.evaluations import an_evaluation
from sentryml_common.contracts.evaluation import Level
from tests.unit.incidents.builders import MONDAY


def test_an_evaluation_is_like_those_of_drift() -> None:
    calm, drifting = (an_evaluation("model-1", MONDAY, drifts=drifts) for drifts in (False, True))
    assert (calm.level, drifting.level) == (Level.OK, Level.CRITICAL)
    assert (
        len({calm.evaluation_id, an_evaluation("model-1", MONDAY + timedelta(minutes=5), drifts=True).evaluation_id})
        == 2
    )

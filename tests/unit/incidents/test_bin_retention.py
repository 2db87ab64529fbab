"""Which evaluations keep their bins."""

from __future__ import annotations

from dataclasses import replace

from sentryml_common.contracts.evaluation import Evaluation
from sentryml_incidents.domain.bin_retention import keeps_bins
from sentryml_lifecycle.snapshot import Snapshot
from sentryml_lifecycle.state_machine import Evaluated, decide
from tests.unit.incidents.builders import MODEL, an_evaluation, at, quick


def kept(evaluations: list[Evaluation], **settings: object) -> list[Evaluation]:
    """Those that keep their bins, as one follows the other."""
    snapshot, found = Snapshot(MODEL, 1, quick(**settings)), []
    for each in evaluations:
        if keeps_bins(snapshot, each):
            found.append(each)
        snapshot = decide(snapshot, Evaluated(each), each.evaluated_at).snapshot
    return found


def minutes(*when: float, grade: str = "ok") -> list[Evaluation]:
    return [an_evaluation(grade, at(each)) for each in when]


def test_with_the_default_windows_it_is_one_an_hour() -> None:
    # It is 9:15 at the beginning, so hours begin at 45 minutes.
    found = kept(minutes(*range(0, 180, 5)))
    assert [each.evaluated_at for each in found] == [at(0), at(45), at(105), at(165)]


def test_with_a_short_window_all_are_kept() -> None:
    assert len(kept(minutes(*range(10)), current_seconds=24 * 60, baseline_seconds=86_400, every_seconds=60)) == 10


def test_the_first_that_sees_again_keeps_its_bins() -> None:
    blind = minutes(1, 2, grade="insufficient")
    found = kept([*minutes(0), *blind, *minutes(3, 4)])
    assert [each.evaluated_at for each in found] == [at(0), at(3)]


def test_without_bins_nothing_is_kept() -> None:
    assert not keeps_bins(Snapshot(MODEL, 1, quick()), an_evaluation("insufficient", at(0)))
    assert not keeps_bins(Snapshot(MODEL, 1, quick()), an_evaluation("ok", at(0), bins=()))


def test_one_that_comes_late_is_judged_by_its_own_hour() -> None:
    stands = replace(Snapshot(MODEL, 1, quick()), last_evaluated_at=at(120))
    assert keeps_bins(stands, an_evaluation("ok", at(30)))

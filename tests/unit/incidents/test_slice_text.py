"""Which version or segment it is, in words: only where it is one, and without saying more than is known."""

from __future__ import annotations

from sentryml_common.contracts.evaluation import Evaluation, Signal, SliceEvaluation, SliceSignal, Slicing
from sentryml_common.contracts.message import encode
from sentryml_lifecycle.text.psi_explanation import in_words, why_of
from sentryml_lifecycle.text.slice_text import slices_of
from tests.unit.incidents.builders import an_evaluation, at


def a_slice(
    value: str,
    psi: float | None = 0.61,
    others: float | None = 0.02,
    slicing: Slicing = Slicing.VERSION,
    began: float | None = None,
    share: float = 0.5,
) -> SliceEvaluation:
    """A slice by the PSI of its score; `began` in minutes of the story."""
    score = SliceSignal(
        signal=Signal.SCORE,
        psi=psi,
        warn_at=None if psi is None else 0.1,
        others_psi=others,
        others_warn_at=None if others is None else 0.1,
    )
    since = None if began is None else at(began)
    return SliceEvaluation(
        slicing=slicing, value=value, events=round(1000 * share), share=share, began=since, signals=(score,)
    )


def a_segment(value: str, psi: float | None, others: float | None) -> SliceEvaluation:
    return a_slice(value, psi, others, Slicing.SEGMENT)


def critical(*slices: SliceEvaluation) -> Evaluation:
    return an_evaluation("critical").model_copy(update={"slices": slices})


def said(*slices: SliceEvaluation) -> list[str]:
    return [each.text for each in slices_of(critical(*slices), Signal.SCORE)]


def test_a_version_that_began_in_the_window_is_named_with_its_psi_and_that_of_the_others() -> None:
    assert said(a_slice("2.3", began=-12), a_slice("2.2", 0.02, 0.61)) == [
        "version “2.3” began 12 min before; among its predictions PSI 0.61, among the others PSI 0.02"
    ]


def test_a_version_that_began_is_named_though_the_others_moved_too_or_there_are_few_of_it() -> None:
    assert said(a_slice("2.3", 0.61, 0.4, began=-12)) == [
        "version “2.3” began 12 min before; among its predictions PSI 0.61, among the others PSI 0.40"
    ]
    assert said(a_slice("2.3", None, 0.4, began=-2)) == [
        "version “2.3” began 2 min before; too few predictions of it to compare, among the others PSI 0.40"
    ]


def test_of_a_version_that_was_not_compared_it_is_said_that_it_began() -> None:
    new = a_slice("2.3", began=-12).model_copy(update={"signals": ()})
    assert said(new, a_segment("eu", None, None).model_copy(update={"signals": ()})) == [
        "version “2.3” began 12 min before"
    ]


def test_an_older_version_is_named_where_it_alone_moved() -> None:
    assert said(a_slice("2.2", 0.02, 0.61), a_slice("2.3")) == [
        "version “2.3”: among its predictions PSI 0.61, among the others PSI 0.02"
    ]
    assert said(a_slice("2.2", 0.5, 0.61), a_slice("2.3", 0.61, 0.5)) == []
    assert said(a_slice("2.3", 0.61, None)) == [], "there are no others"


def test_a_segment_that_alone_moved_is_named() -> None:
    assert said(a_segment("us", 0.02, 0.61), a_segment("eu", 0.61, 0.02)) == [
        "segment “eu” moved, the others did not: PSI 0.61 there, 0.02 elsewhere"
    ]


def test_that_all_segments_moved_is_said_of_those_with_events_enough() -> None:
    assert said(a_segment("us", 0.3, 0.6), a_segment("eu", 0.6, 0.3), a_segment("li", None, 0.5)) == [
        "all 2 segments moved: PSI 0.30 to 0.60"
    ]
    assert said(a_segment("us", 0.3, 0.6), a_segment("eu", 0.6, 0.3), a_segment("ch", 0.02, 0.5)) == []


def test_the_names_of_senders_are_visible_and_short() -> None:
    assert said(a_segment("\u202eeu", 0.61, 0.02))[0].startswith("segment “[U+202E]eu” moved")
    assert len(said(a_segment("x" * 64, 0.61, 0.02))[0]) < 150


def test_the_sentence_is_in_the_reasons_after_how_serious_it_is() -> None:
    why = why_of(critical(a_slice("2.3", began=-12)))
    assert in_words(why)[0].startswith(
        "Score: PSI 0.50, critical from 0.20; version “2.3” began 12 min before; among its predictions PSI 0.61, among "
        "the others PSI 0.02; scores higher than in the baseline; "
    )
    assert (why[0].slices[0].value, why[0].slices[0].psi, why[0].slices[0].others_psi) == ("2.3", 0.61, 0.02)


def test_where_nothing_drifts_nothing_is_said_and_no_byte_changes() -> None:
    calm = an_evaluation("ok").model_copy(update={"slices": (a_slice("2.3", began=-12),)})
    assert why_of(calm)[0].slices == ()
    assert b"slices" not in encode(why_of(an_evaluation("critical"))[0])

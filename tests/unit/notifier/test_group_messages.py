"""The messages of alert groups, as golden files to be read: see test_messages.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from sentryml_common.contracts.evaluation import NullBin, Signal, Slicing
from sentryml_common.contracts.transition import Cause, Marked, SignalWhy, SliceWhy, Transition
from sentryml_lifecycle.text.psi_explanation import explain
from sentryml_local.slack_stand_in.protocol import OK, answer_to
from sentryml_notifier.channels.base import Outgoing
from sentryml_notifier.channels.email.form import email_of
from sentryml_notifier.channels.slack_bot.blocks import plain_payload, rich_payload
from sentryml_notifier.domain.group_text import GroupReport, compose_group, list_url
from sentryml_notifier.domain.grouping import About, AlertGroup
from sentryml_notifier.domain.message import Message, Tone
from sentryml_notifier.domain.message_input import Reminder, Story
from tests.unit.notifier.builders import (
    NIGHT,
    OPEN_WARN,
    escalated,
    opened_critical,
    opened_warn,
    resolved,
    score_why,
)
from tests.unit.notifier.test_messages import compare, rendered

GROUP = AlertGroup(
    UUID("0c4c6a1e-3a50-4b83-9d0c-1d0a7c2f9a07"), 7, NIGHT, NIGHT + timedelta(minutes=10), reported_at=NIGHT
)
STATIONS = ("ams", "bru", "cdg", "dub", "ewr", "fra", "jfk", "lhr")


def nulls(psi: float) -> tuple[SignalWhy, ...]:
    """Scores that are missing."""
    missing = NullBin(baseline_share=0.0, current_share=0.6, contribution=psi)
    return (explain(Signal.SCORE, psi, 0.1, 0.2, (missing,)),)


def named(number: int) -> dict[str, object]:
    return {"model_id": f"delay-{STATIONS[number]}", "incident": 40 + number, "minutes": number / 10}


def opened(number: int) -> Transition:
    if number < 5:
        return opened_critical(why=nulls(0.5 + number / 10), **named(number))
    return opened_warn(why=(score_why(0.15),) if number == 7 else nulls(0.15), **named(number))


def alert(number: int) -> Story:
    return Story([opened(number)], [opened(number)])


def worse(number: int) -> Story:
    step = escalated(**{**named(number), "minutes": 5.0, "why": nulls(0.4)})
    return Story([opened(number), step], [step])


def over(number: int) -> Story:
    step = resolved(**{**named(number), "minutes": 40.0, "from_": opened(number).to})
    return Story([opened(number), step], [step])


def fell_silent(number: int) -> Story:
    step = opened_warn(why=(), cause=Cause.NO_PREDICTIONS, **named(number))
    return Story([step], [step])


def reminded(number: int) -> Story:
    return Story([opened(number)], [opened(number)], reminder=Reminder(1, 3))


EIGHT = range(8)
REPORTS: dict[str, GroupReport] = {
    "opened": GroupReport(GROUP, About.ALERT, [alert(each) for each in EIGHT], 8, is_open=True),
    "opened-and-silent": GroupReport(GROUP, About.ALERT, [*map(alert, range(7)), fell_silent(7)], 8),
    "more-opened": GroupReport(GROUP, About.ALERT, [alert(each) for each in (5, 6, 7)], 8),
    "escalated": GroupReport(GROUP, About.ALERT, [worse(each) for each in (5, 6)], 8, is_open=True),
    "opened-and-escalated": GroupReport(GROUP, About.ALERT, [worse(5), alert(6), over(7)], 8),
    "some-over": GroupReport(
        GROUP, About.END, [over(each) for each in (0, 1)], 8, 6, [alert(each) for each in range(2, 8)]
    ),
    "all-over": GroupReport(GROUP, About.END, [over(each) for each in EIGHT], 8),
    "reminder": GroupReport(GROUP, About.REMINDER, [reminded(each) for each in (0, 1, 5)], 8),
    "still-critical": GroupReport(
        GROUP,
        About.STILL_CRITICAL,
        [replace(reminded(each), reminder=Reminder(1, 3, still_critical=True)) for each in (0, 1)],
        8,
    ),
    "long-drift": GroupReport(
        GROUP, About.LONG_DRIFT, [replace(reminded(each), reminder=Reminder(1, 1, 7)) for each in (0, 1)], 8
    ),
}  # fmt: skip


def message_of(name: str) -> Message:
    return compose_group(REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_message_of_a_group_reads_as_its_golden_file(name: str) -> None:
    compare(f"group-{name}.txt", rendered(message_of(name)))


@pytest.mark.parametrize("name", REPORTS)
def test_slack_takes_every_message_of_a_group_in_both_forms(name: str) -> None:
    assert answer_to(rich_payload(message_of(name))) == (OK, "")
    assert answer_to(plain_payload(message_of(name))) == (OK, "")


def test_an_email_of_a_group_has_links_to_each_and_hangs_on_the_group() -> None:
    report = REPORTS["opened"]
    outgoing = Outgoing(
        message_of("opened"), report.stories[0], UUID(int=7), (UUID(int=8), UUID(int=9)),
        group_id=GROUP.group_id, thread_id=GROUP.group_id, of_group=True,
    )  # fmt: skip
    mail = email_of(outgoing, "alerts@example.com", ["ana@example.org"], NIGHT)
    assert mail["References"] == f"<incident.{GROUP.group_id}@example.com>"
    again = replace(outgoing, send_id=UUID(int=1), delivery_ids=(UUID(int=9), UUID(int=8)))
    assert email_of(again, "alerts@example.com", ["ana@example.org"], NIGHT)["Message-ID"] == mail["Message-ID"]
    html = mail.get_body(("html",))
    assert html is not None
    assert '<a href="https://sentryml.example/incidents/44">#44 delay-ewr</a>' in html.get_content()
    assert f'<a href="{list_url(report)}">' in html.get_content()


def test_the_list_is_beside_the_pages_of_incidents() -> None:
    assert list_url(REPORTS["opened"]) == f"https://sentryml.example/incidents?group={GROUP.group_id}"


def test_what_fewer_than_half_share_is_not_in_common() -> None:
    stories = [alert(0), alert(7), Story([opened_warn(**named(6))], [opened_warn(**named(6))])]
    common = next(fact for fact in compose_group(GroupReport(GROUP, About.ALERT, stories, 3)).facts)
    assert [str(line[0]) for line in common.lines] == ["drift of the score: all 3", "models named delay-…: all 3"]


def test_a_story_of_one_that_was_over_before_it_left_says_so() -> None:
    both = Story([opened(0), over(0).last], [opened(0), over(0).last])
    message = compose_group(GroupReport(GROUP, About.ALERT, [both, both], 2))
    assert message.title == "Over before it could be delivered · 2 models"
    assert OPEN_WARN not in {step.to for step in both.reported}


def test_models_that_fell_silent_together_are_named_so() -> None:
    stories = [fell_silent(number) for number in EIGHT]
    message = compose_group(GroupReport(GROUP, About.ALERT, stories, 8, is_open=True))
    assert message.title == "Warning · 8 models are silent"
    back = [resolved(cause=Cause.PREDICTIONS_ARE_BACK, **{**named(number), "from_": OPEN_WARN}) for number in EIGHT]
    ended = [Story([story.last, end], [end]) for story, end in zip(stories, back, strict=True)]
    assert compose_group(GroupReport(GROUP, About.END, ended, 8)).tone is Tone.CALM


def of_version(value: str, text: str = "version “2.3” began 12 min before") -> SliceWhy:
    return SliceWhy(slicing=Slicing.VERSION, value=value, psi=0.6, others_psi=0.02, began=None, text=text)


def test_a_version_that_most_of_them_name_is_in_common_before_all_else() -> None:
    def steps(number: int) -> list[Transition]:
        why = score_why().model_copy(update={"slices": (of_version("2.3" if number else "1.0"),)})
        return [opened_warn(why=(why,), **named(number))]

    stories = [Story(steps(number), steps(number)) for number in range(3)]
    report = GroupReport(GROUP, About.ALERT, stories, 3)
    common = next(fact for fact in compose_group(report).facts)
    assert str(common.lines[1][0]) == "version “2.3”: 2 of 3"


def test_a_marker_that_most_of_them_have_is_in_common() -> None:
    steps = [[opened_warn(markers=(Marked(at=NIGHT, text="deployed 2.3"),), **named(number))] for number in range(3)]
    report = GroupReport(GROUP, About.ALERT, [Story(each, each) for each in steps], 3)
    common = next(fact for fact in compose_group(report).facts)
    assert str(common.lines[0][0]) == "marker “deployed 2.3”: all 3"

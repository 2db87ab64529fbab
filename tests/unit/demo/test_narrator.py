"""The narrator tells what was seen, in calendar days, in plain lines where there is no terminal."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from rich.console import Console

from sentryml_common.contracts.evaluation import Level
from sentryml_common.contracts.transition import TransitionKind
from sentryml_local.demo.narrator import Narrator
from sentryml_local.demo.observer import Seen
from sentryml_local.demo.time_scale import LABEL_MODEL, Story
from sentryml_local.demo.verdict import SlackMessage
from tests.unit.demo.builders import URL, a_transition, an_evaluation

INTRODUCTION_LINES = 2
STORY = Story(int(datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC).timestamp()), date(2013, 4, 1), 61)


def end_of(day: int) -> datetime:
    return datetime.fromtimestamp(STORY.time_of(day, 1.0), UTC)


def narrated(new: Seen) -> list[str]:
    out = io.StringIO()
    with Narrator(Console(file=out, width=60)) as narrator:
        narrator.begin(STORY)
        narrator.tell(new)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()][INTRODUCTION_LINES:]


def test_a_day_is_reported_with_its_date_psi_level_and_the_other_models_psi() -> None:
    scores = an_evaluation(0.539, at=end_of(50), level=Level.CRITICAL)
    labels = an_evaluation(0.107, at=end_of(50), level=Level.WARN, model_id=LABEL_MODEL)
    lines = narrated(Seen([scores, labels]))
    assert lines == ["Tue 21 May  PSI 0.539  critical  labels 0.107  " + "█" * 22]


def test_a_day_without_psi_says_why() -> None:
    assert narrated(Seen([an_evaluation(None, at=end_of(15), level=Level.INSUFFICIENT_DATA)])) == [
        "Tue 16 Apr  insufficient data: 100% of the baseline"
    ]


def test_evaluations_of_the_history_and_of_the_time_after_are_not_narrated() -> None:
    early, late = an_evaluation(0.1, at=end_of(11)), an_evaluation(0.1, at=end_of(61))
    assert narrated(Seen([early, late])) == []


def test_cause_comes_before_effect_and_links_stay_whole() -> None:
    step = a_transition(TransitionKind.OPENED, at=end_of(49), number=4)
    message = SlackMessage(1, end_of(49) + timedelta(seconds=3), "CRITICAL drift [x]", "")
    day = an_evaluation(0.25, at=end_of(49), level=Level.CRITICAL)
    lines = narrated(Seen([day], [step], [message]))
    assert lines[0].startswith("Mon 20 May  PSI 0.250")
    assert lines[1].strip().startswith("● incident #4 opened (flights-delay): The predictions of flights-delay")
    assert lines[1].endswith(f"{URL}/4")
    assert lines[2].strip() == "✉ Slack: CRITICAL drift [x]"


def test_at_the_end_it_says_where_to_look_and_how_to_get_in(tmp_path: Path) -> None:
    names = ("INCIDENTS_URL", "SLACK_STAND_IN_URL", "INGEST_URL", "ADMIN_EMAIL", "ADMIN_PASSWORD")
    out = io.StringIO()
    Narrator(Console(file=out, width=60)).say_where({f"SENTRYML_{name}": f"<{name}>" for name in names}, tmp_path)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert {
        "incidents <INCIDENTS_URL>/incidents",
        "sign in as <ADMIN_EMAIL>",
        "with the password <ADMIN_PASSWORD>",
    } <= {*lines}

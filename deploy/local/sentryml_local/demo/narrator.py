"""Tells the story on the terminal while it happens: days, drift, incidents, Slack; plain lines where there is no
terminal. It prints what the observer saw and decides nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from sentryml_common.contracts.evaluation import Evaluation, Level, Signal
from sentryml_common.contracts.transition import Severity, State, Transition
from sentryml_local.demo.beside import SEARCH_MODEL
from sentryml_local.demo.observer import Seen
from sentryml_local.demo.player import Progress as Played
from sentryml_local.demo.time_scale import DAYS_OF_HISTORY, LABEL_MODEL, SCORE_MODEL, FlightDay, Story
from sentryml_local.demo.verdict import SlackMessage, by_incident

BAR_OF_PSI, LONGEST_BAR = 40, 40
LATE_SECONDS = 2.0
STYLE_OF_LEVEL = {Level.OK: "green", Level.WARN: "yellow", Level.CRITICAL: "bold red", Level.INSUFFICIENT_DATA: "dim"}
MARGIN = " " * 12


class Narrator:
    """The teller; as a context it shows the progress bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f} of {task.total:.0f} days"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._story: Story | None = None
        self._late = False
        self._labels: dict[datetime, float | None] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def say(self, text: str | Text = "", style: str = "") -> None:
        """Print one line as it is: addresses are never broken, brackets are never markup."""
        self._console.print(Text(text, style) if isinstance(text, str) else text, soft_wrap=True, highlight=False)

    def step(self, what: str) -> None:
        """Say that a step around the story is done, and when."""
        self.say(f"  {time.monotonic() - self._began:5.1f} s  {what}", "dim")

    def prologue(self) -> None:
        """What is about to happen."""
        self.say("SentryML watches a model that predicts late flights from New York", "bold")
        self.say("It was trained on January to March 2013. Its predictions from April on are played at one day a")
        self.say("second, through the HTTP gateway with scores, and straight into Kafka with labels alone. Nothing is")
        self.say("injected: what drifts is the weather. On 6 May the same model goes live as version 1.1.")
        self.say("Beside it, three models of airports get no scores on 22 and 23 April: one fault, three incidents,")
        self.say("one message. And a model of searches sends nothing from 23 May to 3 June, which is an incident, too.")

    def introduce(self, flights: Sequence[FlightDay]) -> None:
        """What the model made of the flights."""
        count = sum(len(day.scores) for day in flights)
        self.step(f"the model is trained, {count:,} flights of {len(flights)} days are predicted")

    def begin(self, story: Story) -> None:
        """The story starts: from here on there are days."""
        self._story = story
        self._task = self._progress.add_task(_day_name(story, 0), total=story.days)
        self.say()
        last = f"{story.date_of(DAYS_OF_HISTORY - 1):%-d %B}"
        self.say(f"{MARGIN}the days to {last} are sent at once, as history: until half of the baseline", "dim")
        self.say(f"{MARGIN}is there, nothing can be said about any day; from then on, one day a second", "dim")

    def watched(self, model_id: str) -> None:
        """A model is registered, and its monitor is set."""
        compares = "watches whether it sends" if model_id == SEARCH_MODEL else "compares 3 days with the 28 before them"
        self.say(f"{MARGIN}{model_id} is registered; its monitor {compares}", "dim")

    def played(self, played: Played) -> None:
        """A day has been sent."""
        assert self._story is not None
        assert self._task is not None
        name = _day_name(self._story, played.day)
        self._progress.update(self._task, completed=played.day + 1, description=name)
        late = played.day >= DAYS_OF_HISTORY and played.seconds_late > LATE_SECONDS
        if late and not self._late:
            self.say(f"{MARGIN}this machine is busy: {name} was sent {played.seconds_late:.1f} s late", "dim")
        self._late = late

    def tell(self, new: Seen) -> None:
        """Tell what is new, in the order in which it happened."""
        self._labels.update((each.evaluated_at, _psi(each)) for each in new.evaluations if each.model_id == LABEL_MODEL)
        days = [each for each in new.evaluations if each.model_id == SCORE_MODEL and self._day_of(each) is not None]
        lines = [(each.evaluated_at, 0, self._day(each)) for each in days]
        lines += [(step.at, 1, _transition(step)) for step in new.transitions]
        lines += [(message.at, 2, _message(message)) for message in new.messages]
        for _, _, line in sorted(lines, key=lambda each: each[:2]):
            self.say(line)

    def _day_of(self, evaluation: Evaluation) -> int | None:
        """The newest day in the current window, if it was played as its second passed."""
        assert self._story is not None
        day = self._story.day_before(evaluation.evaluated_at)
        return day if DAYS_OF_HISTORY <= day < self._story.days else None

    def _day(self, evaluation: Evaluation) -> Text:
        """One day's line: PSI of the scores, level, PSI of the other model's labels, and a bar for the eye."""
        assert self._story is not None
        line = Text(f"{_day_name(self._story, self._day_of(evaluation) or 0)}  ")
        psi, style = _psi(evaluation), STYLE_OF_LEVEL[evaluation.level]
        if psi is None:
            why = (evaluation.reason or evaluation.level).value.replace("_", " ")
            return line.append(f"{why}: {evaluation.baseline.coverage:.0%} of the baseline", style)
        labels = self._labels.get(evaluation.evaluated_at)
        line.append(f"PSI {psi:.3f}  ").append(f"{evaluation.level.value:8}  ", style)
        line.append("labels   –    " if labels is None else f"labels {labels:.3f}  ", "dim")
        return line.append("█" * max(1, min(LONGEST_BAR, round(psi * BAR_OF_PSI))), style)

    def sum_up(self, seen: Seen, missing: Sequence[str]) -> None:
        """What was seen, incident by incident, and what was not."""
        self.say()
        for steps in by_incident(seen.transitions).values():
            self.say(self._incident(steps))
        self.say(f"{len(seen.messages)} messages came to Slack's stand-in.")
        if missing:
            self.say("Not everything that was promised was seen:", "bold red")
            for each in missing:
                self.say(f"  {each}")

    def _incident(self, steps: Sequence[Transition]) -> Text:
        """One incident in a line."""
        first, worst = steps[0], max((step.to.severity for step in steps), key=list(Severity).index)
        line = Text(f"Incident #{first.incident_number} of {first.model_id}: ")
        line.append(worst.value, _severity_style(worst))
        for step in steps:
            line.append(f", {step.kind.value} {self._date(step.at)}")
        return line

    def _date(self, at: datetime) -> str:
        """The flights' date behind a time of the clock."""
        assert self._story is not None
        return f"{self._story.date_of(self._story.day_before(at)):%-d %b}"

    def say_where(self, environment: Mapping[str, str], folder: Path) -> None:
        """Addresses, how to send an event, how to stop."""
        self.say()
        self.say("Everything still runs:", "bold")
        self.say(f"  incidents             {environment['SENTRYML_INCIDENTS_URL']}/incidents")
        self.say(f"    sign in as          {environment['SENTRYML_ADMIN_EMAIL']}")
        self.say(f"    with the password   {environment['SENTRYML_ADMIN_PASSWORD']}")
        self.say(f"  Slack's stand-in      {environment['SENTRYML_SLACK_STAND_IN_URL']}/")
        self.say(f"  the gateway's API     {environment['SENTRYML_INGEST_URL']}/docs")
        self.say(f"  incidents' API        {environment['SENTRYML_INCIDENTS_URL']}/docs")
        self.say("Send an event of your own, from another terminal:", "bold")
        self.say(f'  eval "$(.venv/bin/sentryml-local env --data {folder})"')
        self.say('  curl "$SENTRYML_INGEST_URL/v1/events" -H "Authorization: Bearer $SENTRYML_EVENTS_KEY" \\')
        self.say("""    -H 'Content-Type: application/json' -d '{"model_id": "my-model", "prediction": "yes"}'""")
        self.say('  curl "$SENTRYML_INCIDENTS_URL/v1/models" -H "Authorization: Bearer $SENTRYML_ADMIN_KEY"')
        self.say("Ctrl-C stops everything.", "bold")


def _transition(step: Transition) -> Text:
    """One step of an incident: what, why, where to read more."""
    style = "green" if step.to.state in {State.RESOLVED, State.CLOSED} else _severity_style(step.to.severity)
    line = Text(MARGIN).append(f"● incident #{step.incident_number} {step.text.step.lower()}", style)
    line.append(f" ({step.model_id}): {step.text.headline}")
    return line.append(f"  {step.incident_url}", "cyan")


def _message(message: SlackMessage) -> Text:
    return Text(MARGIN).append("✉ Slack: ", "magenta").append(message.summary)


def _severity_style(severity: Severity) -> str:
    return STYLE_OF_LEVEL[Level(severity.value)]


def _day_name(story: Story, day: int) -> str:
    """For example `Tue 21 May`, always ten characters."""
    return f"{story.date_of(day):%a %d %b}"


def _psi(evaluation: Evaluation) -> float | None:
    """The PSI of what the model is watched for first: the score, or else the prediction."""
    return min(evaluation.signals, key=lambda found: list(Signal).index(found.signal)).headline_psi

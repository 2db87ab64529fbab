"""The summary of a week: what drifted, what is silent, which monitors were noisy, what nobody acknowledged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sentryml_common.contracts.transition import Severity
from sentryml_common.text import count_of
from sentryml_notifier.domain.group_text import WORST_SHOWN, ended, is_critical, is_live, worst, worst_first
from sentryml_notifier.domain.message import Fact, Line, Link, Message, Tone
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import ALERTING, Route
from sentryml_notifier.domain.story_text import is_silent

WEEK = timedelta(days=7)
NOISY_FROM = 3
"""Alerts of one model in a week, from which on its monitor is called noisy."""


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """The week up to `ends_at`: the incidents that are live then or had a step in it, each with its whole history."""

    ends_at: datetime
    stories: Sequence[Story]

    @property
    def begins_at(self) -> datetime:
        """When it began."""
        return self.ends_at - WEEK


def concerns(story: Story, route: Route) -> bool:
    """Whether a route is for an incident: by its model, and by the worst severity that it has had."""
    if route.least_severity is Severity.CRITICAL and story.worst is not Severity.CRITICAL:
        return False
    return route.is_for(story.last.model_id)


def compose_weekly(report: WeeklyReport) -> Message:
    stories = worst_first(report.stories)
    live, over = [each for each in stories if is_live(each)], [each for each in stories if not is_live(each)]
    silent, drifting = [each for each in live if is_silent(each)], [each for each in live if not is_silent(each)]
    title = _title(stories, live)
    parts = (
        worst("Still drifting, the worst first", drifting, len(drifting)),
        worst("No predictions", silent, len(silent)),
        _not_acknowledged(stories),
        _noisy(report),
        Fact("Over", ended(over).lines) if over else None,
        Fact("The week", ((report.begins_at, " to ", report.ends_at),)),
    )
    return Message(
        tone=Tone.NEUTRAL,
        title=title,
        summary=title,
        lead=_lead(stories, live),
        facts=tuple(part for part in parts if part is not None),
        link_label="List all incidents" if stories else "Nothing has to be done.",
        link_url=stories[0].last.incident_url.rpartition("/")[0] if stories else "",
    )


def _title(stories: Sequence[Story], live: Sequence[Story]) -> str:
    if not stories:
        return "Weekly summary · no incidents"
    return f"Weekly summary · {count_of(len(stories), 'incident')}, {len(live)} live"


def _lead(stories: Sequence[Story], live: Sequence[Story]) -> str:
    if not stories:
        return "No model of this route had an incident."
    models = len({each.last.model_id for each in stories})
    critical = sum(map(is_critical, live))
    counts = f"{count_of(len(stories), 'incident')} of {count_of(models, 'model')}"
    return f"{counts}. Live: {len(live)}, {critical} of them critical."


def _not_acknowledged(stories: Sequence[Story]) -> Fact | None:
    return worst("Nobody acknowledged", found := [each for each in stories if not each.acknowledged_by], len(found))


def _noisy(report: WeeklyReport) -> Fact | None:
    """The models with the most alerts of the week, each with a link to what would be quieter."""
    urls = {each.last.model_id: each.last.incident_url for each in report.stories}
    alerts = Counter(
        step.model_id
        for each in report.stories
        for step in each.history
        if step.alert and step.kind in ALERTING and report.begins_at <= step.at < report.ends_at
    )
    noisy = [(model, number) for model, number in alerts.most_common(WORST_SHOWN) if number >= NOISY_FROM]
    lines: list[Line] = [
        (f"{model}: {number} alerts. ", Link("What would be quieter?", _advice_url(urls[model], model)))
        for model, number in noisy
    ]
    return Fact("Noisy monitors", tuple(lines)) if lines else None


def _advice_url(incident_url: str, model_id: str) -> str:
    return f"{incident_url.rpartition('/incidents/')[0]}/models/{model_id}/monitor#advice"

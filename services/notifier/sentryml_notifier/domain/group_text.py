"""The message of an alert group: how many, since when, what they have in common, the worst first, where all are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentryml_common.contracts.transition import Severity, Transition, TransitionKind
from sentryml_common.group_text import GroupedAlert, all_of, in_common, what_they_are
from sentryml_common.text import capital, count_of, cut, duration
from sentryml_notifier.domain.grouping import About, AlertGroup
from sentryml_notifier.domain.message import NEXT, Fact, Line, Link, Message, Tone
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import CLOSING, OPENING
from sentryml_notifier.domain.story_text import LIVE, LONGEST_NAME, RECOVERED, is_silent, step_name

WORST_SHOWN, ENDS_SHOWN = 5, 5
HOW_SERIOUS = {Severity.WARN: "Warning", Severity.CRITICAL: "CRITICAL"}


@dataclass(frozen=True, slots=True)
class GroupReport:
    """One message of a group. `stories` are the incidents it covers, `size` counts all in the group, `live` those that
    are not over, some of which are in `left`. `is_open`: others may join it."""

    group: AlertGroup
    about: About
    stories: Sequence[Story]
    size: int
    live: int = 0
    left: Sequence[Story] = ()
    is_open: bool = False


def compose_group(report: GroupReport) -> Message:
    stories = worst_first(report.stories)
    title = _title(report, stories)
    parts: Iterable[Fact | None] = (
        *_about_incidents(report, stories),
        Fact("Since", ((report.group.began_at,),)),
        Fact(NEXT, tuple(_next(report))),
    )
    return Message(
        tone=_tone(report, stories),
        title=title,
        summary=". ".join([title, *_in_short(report, stories), f"Alert group {report.group.group_number}"]),
        lead=_lead(report, stories),
        facts=tuple(part for part in parts if part is not None),
        link_label=f"List {'' if report.about is About.END else 'and acknowledge '}{all_of(report.size)} incidents",
        link_url=list_url(report),
    )


def _in_short(report: GroupReport, stories: Sequence[Story]) -> list[str]:
    """What they have most in common; of an end, nothing: what they had is over."""
    return [] if report.about is About.END else [capital(each) for each in shared_by(stories)[:1]]


def _about_incidents(report: GroupReport, stories: Sequence[Story]) -> tuple[Fact | None, ...]:
    if report.about is About.END:
        return ended(stories), worst("Live, the worst first", report.left, report.live)
    return common(stories), worst("The worst first", stories, len(stories))


def list_url(report: GroupReport) -> str:
    """Where the incidents of the group are listed: beside their pages."""
    return f"{report.stories[0].last.incident_url.rpartition('/')[0]}?group={report.group.group_id}"


def worst_first(stories: Iterable[Story]) -> list[Story]:
    """Live ones first, then critical ones, then by PSI."""
    return sorted(stories, key=lambda each: (not is_live(each), not is_critical(each), -_psi(each), each.last.model_id))


def _title(report: GroupReport, stories: Sequence[Story]) -> str:
    if report.about is About.END:
        over = f"{report.size - report.live} of {report.size}" if report.live else all_of(report.size)
        return f"Over: {over} incidents"
    if not any(map(is_live, stories)):
        return f"Over before it could be delivered · {count_of(len(stories), 'model')}"
    serious = HOW_SERIOUS[Severity.CRITICAL if is_critical(stories[0]) else Severity.WARN]
    match report.about:
        case About.REMINDER:
            return f"{serious}, not acknowledged · {counted(stories)}"
        case About.STILL_CRITICAL:
            return f"{serious}, acknowledged and still there · {counted(stories)}"
        case About.LONG_DRIFT:
            return (
                f"{serious} for {count_of(max(each.long_drift_days for each in stories), 'day')} · {counted(stories)}"
            )
    opened = sum(map(_opened, stories))
    worse = "" if opened else ", escalated" if any(map(_escalated, stories)) else ", worse"
    return f"{serious}{worse} · {counted(stories, more=bool(opened) and report.size > len(stories))}"


def _lead(report: GroupReport, stories: Sequence[Story]) -> str:
    group, count, size = report.group, len(stories), report.size
    name, incidents = f"alert group {group.group_number}", count_of(count, "incident")
    match report.about:
        case About.END:
            if report.live:
                over, live = size - report.live, report.live
                return f"{count_of(over, 'incident')} of {name} {_are(over)} over, and {live} {_are(live)} live."
            return f"{capital(all_of(size))} incidents of {name} are over."
        case About.REMINDER:
            number, times = (max(each) for each in zip(*map(_reminder, stories), strict=True))
            return f"Nobody has acknowledged {incidents} of {name}. Reminder {number} of at most {times}."
        case About.STILL_CRITICAL:
            were = "was" if count == 1 else "were"
            return f"{incidents} of {name} {were} acknowledged, and {_are(count)} still critical."
        case About.LONG_DRIFT:
            return (
                f"{incidents} of {name} {_are(count)} still live. Is this the new normal, was it normal, "
                "or is it still a fault?"
            )
    opened, escalated = [each for each in stories if _opened(each)], [each for each in stories if not _opened(each)]
    parts = []
    if opened:
        more = f": with earlier ones, {name} has {size}." if size > len(opened) else f" ({name})."
        parts.append(f"{count_of(len(opened), 'incident')} opened{_within(opened)}{more}")
    if escalated:
        how = "escalated" if any(map(_escalated, escalated)) else "got worse"
        parts.append(f"{count_of(len(escalated), 'incident')} of {name} {how}.")
    return " ".join(parts)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _within(stories: Sequence[Story]) -> str:
    times = [each.began.at for each in stories if each.began]
    span = max(times) - min(times) if times else None
    return f" within {duration(span)}" if span else ""


def common(stories: Sequence[Story]) -> Fact | None:
    shared = shared_by(stories)
    return Fact("In common", tuple((each,) for each in shared)) if shared else None


def shared_by(stories: Sequence[Story]) -> list[str]:
    """What most of them share, the most frequent first."""
    alerts = (each.newest_alert for each in stories)
    return in_common([GroupedAlert(step.model_id, step.cause, step.why, step.markers) for step in alerts])


def counted(stories: Sequence[Story], *, more: bool = False) -> str:
    """How many models drift, are silent, or are so no more."""
    live = [each for each in stories if is_live(each)]
    silent = sum(map(is_silent, live))
    return what_they_are(len(live) - silent, silent, len(stories) - len(live), more=more)


def worst(label: str, stories: Sequence[Story], count: int) -> Fact | None:
    shown = worst_first(stories)[:WORST_SHOWN]
    if not shown:
        return None
    lines: list[Line] = [line_of(each) for each in shown]
    if count > len(shown):
        lines.append((f"… and {count - len(shown)} more",))
    return Fact(label, tuple(lines))


def line_of(story: Story) -> Line:
    step = story.newest
    evidence = _evidence(story)
    serious = f", {cut(evidence.why[0].how_serious, LONGEST_NAME)}" if evidence.why else ""
    state = step.to.severity.value if is_live(story) else "over"
    return (Link(f"#{step.incident_number} {step.model_id}", step.incident_url), f" ({state}){serious}")


def ended(stories: Sequence[Story]) -> Fact:
    """How they ended, the most frequent first."""
    ends = Counter(step_name(_end(each)) for each in stories)
    lines: list[Line] = [(f"{name}: {number}",) for name, number in ends.most_common(ENDS_SHOWN)]
    return Fact("How they ended", tuple(lines))


def _next(report: GroupReport) -> list[Line]:
    if report.about is About.END:
        if report.live:
            return [("The next message comes when all are over, or after a day in which others have ended.",)]
        return [("An incident that reopens alerts again.",)]
    if report.about is About.STILL_CRITICAL:
        return [("They are reminded of once a day, as long as they are critical.",)]
    if report.about is About.LONG_DRIFT:
        return [("Answer on each one's page. It is asked again as long as an incident is live.",)]
    joins: list[Line] = [("What opens until ", report.group.closes_at, " joins the group, and is one message then.")]
    return [
        *(joins if report.is_open else []),
        ("An escalation to critical is a message of its own.",),
        ("Ends are one message: when all are over, or an hour after the first.",),
        ("Acknowledging ends reminders; it does not mute alerts.",),
    ]


def _tone(report: GroupReport, stories: Sequence[Story]) -> Tone:
    if not any(map(is_live, stories)):
        recovered = all(_end(each).cause in RECOVERED for each in stories)
        return Tone.CALM if recovered and not report.live else Tone.NEUTRAL
    return Tone.CRITICAL if is_critical(stories[0]) else Tone.WARN


def _reminder(story: Story) -> tuple[int, int]:
    return (story.reminder.number, story.reminder.times) if story.reminder else (1, 1)


def _escalated(story: Story) -> bool:
    return any(step.kind is TransitionKind.ESCALATED for step in story.reported)


def _opened(story: Story) -> bool:
    return any(step.kind in OPENING for step in story.reported)


def _end(story: Story) -> Transition:
    return next((step for step in reversed(story.history) if step.kind in CLOSING), story.newest)


def _evidence(story: Story) -> Transition:
    return next((step for step in reversed(story.history) if step.why), story.last)


def is_live(story: Story) -> bool:
    return story.newest.to.state in LIVE


def is_critical(story: Story) -> bool:
    return story.newest.to.severity is Severity.CRITICAL


def _psi(story: Story) -> float:
    return max((why.psi or 0.0 for why in _evidence(story).why), default=0.0)

"""The message of an alert group: how many, since when, what they have in common, the worst first, where all are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sentryml_common.contracts.evaluation import Bin, CategoryBin, NewBin, NullBin, Slicing
from sentryml_common.contracts.transition import Cause, Severity, Transition, TransitionKind
from sentryml_common.text import capital, cut, duration
from sentryml_notifier.domain.grouping import About, AlertGroup
from sentryml_notifier.domain.message import NEXT, Fact, Line, Link, Message, Tone
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import CLOSING, OPENING
from sentryml_notifier.domain.story_text import (
    DRIFT,
    LIVE,
    LONGEST_NAME,
    RECOVERED,
    days,
    is_silent,
    step_name,
    subject,
)

WORST_SHOWN, SHARED_SHOWN, ENDS_SHOWN = 5, 5, 5
MORE_BY = 0.01
SEPARATORS = "-._:"
DRIFT_OF, VERSION = "drift of the ", "version "


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
    """The message."""
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
        link_label=f"List {'' if report.about is About.END else 'and acknowledge '}{_all(report.size)} incidents",
        link_url=list_url(report),
    )


def _in_short(report: GroupReport, stories: Sequence[Story]) -> list[str]:
    """What they have most in common; of an end, nothing: what they had is over."""
    return [] if report.about is About.END else [capital(each) for each in shared_by(stories)[:1]]


def _all(count: int) -> str:
    """`all 8`, `both`."""
    return "both" if count == 2 else f"all {count}"


def _models(count: int, more: str = "") -> str:
    return f"{count}{more} model{'' if count == 1 else 's'}"


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
    count, live = len(stories), [each for each in stories if is_live(each)]
    if report.about is About.END:
        over = f"{report.size - report.live} of {report.size}" if report.live else _all(report.size)
        return f"Over: {over} incidents"
    if not live:
        return f"Over before it could be delivered · {_models(count)}"
    drift = DRIFT[Severity.CRITICAL] if is_critical(stories[0]) else DRIFT[Severity.WARN]
    if all(map(is_silent, live)):
        drift = subject(stories[0])
    match report.about:
        case About.REMINDER:
            return f"{drift}, not acknowledged · {_models(count)}"
        case About.STILL_CRITICAL:
            return f"{drift}, acknowledged and still there · {_models(count)}"
        case About.LONG_DRIFT:
            return f"{drift} for {days(max(each.long_drift_days for each in stories))} · {_models(count)}"
    opened = sum(_opened(each) for each in stories)
    worse = "" if opened else ", escalated" if any(map(_escalated, stories)) else ", worse"
    return f"{drift}{worse} · {_models(count, ' more' if opened and report.size > count else '')}"


def _lead(report: GroupReport, stories: Sequence[Story]) -> str:
    group, count, size = report.group, len(stories), report.size
    name = f"alert group {group.group_number}"
    match report.about:
        case About.END:
            if report.live:
                over, live = size - report.live, report.live
                return f"{_incidents(over)} of {name} {_are(over)} over, and {live} {_are(live)} live."
            return f"{capital(_all(size))} incidents of {name} are over."
        case About.REMINDER:
            number, times = (max(each) for each in zip(*map(_reminder, stories), strict=True))
            return f"Nobody has acknowledged {_incidents(count)} of {name}. Reminder {number} of at most {times}."
        case About.STILL_CRITICAL:
            were = "was" if count == 1 else "were"
            return f"{_incidents(count)} of {name} {were} acknowledged, and {_are(count)} still critical."
        case About.LONG_DRIFT:
            return (
                f"{_incidents(count)} of {name} {_are(count)} still live. Is this the new normal, was it normal, "
                "or is it still a fault?"
            )
    opened, escalated = [each for each in stories if _opened(each)], [each for each in stories if not _opened(each)]
    parts = []
    if opened:
        more = f": with earlier ones, {name} has {size}." if size > len(opened) else f" ({name})."
        parts.append(f"{_incidents(len(opened))} opened{_within(opened)}{more}")
    if escalated:
        how = "escalated" if any(map(_escalated, escalated)) else "got worse"
        parts.append(f"{_incidents(len(escalated))} of {name} {how}.")
    over = sum(not is_live(each) for each in stories)
    if over:
        parts.append(f"Over already: {over}.")
    return " ".join(parts)


def _incidents(count: int) -> str:
    return "1 incident" if count == 1 else f"{count} incidents"


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
    """What most of them share, the most frequent first; with the count, where it is not shared by all."""
    count = len(stories)
    found = Counter(trait for each in stories for trait in dict.fromkeys(traits(each)))
    shared = [(trait, number) for trait, number in found.items() if number * 2 > count]
    named = {trait.rpartition(" ")[2] for trait, _ in shared if not trait.startswith(DRIFT_OF)}
    # That a signal drifts need not be said where something of it is named.
    shared = [each for each in shared if each[0].removeprefix(DRIFT_OF) not in named]
    shared.sort(key=lambda each: -each[1])
    lines = [f"{trait}: {_all(count) if number == count else f'{number} of {count}'}" for trait, number in shared]
    prefix = _prefix([each.last.model_id for each in stories])
    return [*lines[:SHARED_SHOWN], *([f"models named {prefix}…: {_all(count)}"] if prefix else [])]


def traits(story: Story) -> list[str]:
    """What can be common to incidents, the most telling first: a version, a marker, nulls, values, the signal."""
    if is_silent(story):
        return ["no predictions"]
    step = next((each for each in reversed(story.history) if each.why and each.kind not in CLOSING), story.last)
    found = [f"{VERSION}“{cut(value, LONGEST_NAME)}”" for value in _versions(step)]
    found += [f"marker “{cut(each.text, LONGEST_NAME)}”" for each in step.markers]
    found += [trait for why in step.why for part in why.top_bins if (trait := _trait(why.signal.value, part))]
    if step.cause is Cause.SLOW_DRIFT:
        found.append("slow drift")
    return [*found, *(f"{DRIFT_OF}{why.signal.value}" for why in step.why)]


def _versions(step: Transition) -> list[str]:
    """The versions that it may be about."""
    named = (each for why in step.why for each in why.slices if each.slicing is Slicing.VERSION)
    return list(dict.fromkeys(each.value for each in named if each.value is not None))


def _trait(signal: str, part: Bin) -> str | None:
    """What a bin that has grown says."""
    if part.current_share < part.baseline_share + MORE_BY:
        return None
    match part:
        case NullBin():
            return f"more nulls in the {signal}"
        case NewBin():
            return f"new values of the {signal}"
        case CategoryBin():
            return f"more “{cut(str(part.value), LONGEST_NAME)}” in the {signal}"
    return None


def _prefix(models: Sequence[str]) -> str:
    """What all names begin with, up to a separator."""
    first, last = min(models), max(models)
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    end = max(first.rfind(each, 0, same) for each in SEPARATORS)
    return cut(first[: end + 1], LONGEST_NAME)


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

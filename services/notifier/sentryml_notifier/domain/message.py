"""From a story to a neutral message: what happened, how serious, why, since when, what happens next, a link.

The sentences are those of the transitions (`story_text`); here they are laid out.

Strings in a message are plain text without any channel's markup: a channel escapes all of them and adds its own.
Times stay times, so that a channel can show them in the reader's zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sentryml_common.contracts.evaluation import RangeBin
from sentryml_common.contracts.transition import Cause, Severity, SignalWhy, Transition
from sentryml_common.text import capital, cut, duration
from sentryml_notifier.domain.message_input import Story
from sentryml_notifier.domain.routing import ALERTING, CLOSING
from sentryml_notifier.domain.story_text import (
    LIVE,
    LONGEST_NAME,
    RECOVERED,
    actor_name,
    step_name,
    title_of,
    what_happened,
    what_next,
)

LATE_AFTER = timedelta(minutes=2)
LONGEST_NOTE, LATER_SHOWN, EARLIER_SHOWN = 500, 5, 6
LONGEST_LINE, MOVES_SHOWN = 200, 5


@dataclass(frozen=True, slots=True)
class Link:
    """A part of a line that leads to a page."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A part of a line that is a row of block characters: bars of equal width, where that can be had."""

    text: str


Part = str | datetime | Link | Bars
Line = tuple[Part, ...]

BY_PERSON = {Cause.REQUESTED, Cause.NEW_NORMAL, Cause.WAS_NORMAL}
BY_MONITOR = {Cause.MONITOR_DISABLED, Cause.THRESHOLDS_CHANGED, Cause.BASELINE_CHANGED, Cause.TIMES_CHANGED}
NEXT = "What happens next"
ANSWERS: tuple[Line, ...] = (
    (
        "New normal: it closes, and the predictions since it opened become the baseline; after slow drift alone, a new "
        "reference is made instead.",
    ),
    ("This was normal: it closes, and its time counts as normal again.",),
    ("Still a fault: acknowledge it. That does not mute alerts.",),
    ("The first two can be undone for 7 days, or until another incident opens.",),
)
"""To the question what long drift is."""


WRITTEN = re.compile(r"\b(\d{1,2} [A-Z][a-z]{2} \d{4}, \d{2}:\d{2}:\d{2}) UTC\b")
"""A time in a sentence about what happens next: only incidents write those."""


class Tone(StrEnum):
    """The style of a message; never the only sign of what it says."""

    CRITICAL = "critical"
    WARN = "warn"
    CALM = "calm"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled part of a message. One that is a `picture` says nothing new, and is shown only where it looks like
    one: in rich messages and mails, not where text is read out, previewed or processed."""

    label: str
    lines: tuple[Line, ...]
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message for any channel; `summary` says the most important in one line, for a notification. `slack_group` is
    Slack's id of a user group that it mentions there."""

    tone: Tone
    title: str
    summary: str
    lead: str
    facts: tuple[Fact, ...]
    link_label: str
    link_url: str
    notes: tuple[str, ...] = ()
    slack_group: str | None = None

    @property
    def facts_in_words(self) -> tuple[Fact, ...]:
        """Those that are no pictures."""
        return tuple(fact for fact in self.facts if not fact.picture)


def compose(story: Story) -> Message:
    """The message about the last transition of `story.reported`, and about the earlier ones with it."""
    step = story.last
    title = title_of(story)
    parts = (
        _also_reported,
        _answers,
        _seriousness,
        _why,
        _picture,
        _marked,
        _when,
        _acknowledged,
        _note,
        _meanwhile,
        _what_next,
    )
    facts = (part(story) for part in parts)
    return Message(
        tone=_tone(story),
        title=title,
        summary=_summary(title, story),
        lead=what_happened(story),
        facts=tuple(fact for fact in facts if fact is not None),
        link_label=f"{'Answer on the page of' if story.long_drift_days else 'Open'} incident #{step.incident_number}",
        link_url=step.incident_url,
    )


@dataclass(frozen=True, slots=True)
class Fallback:
    """Which broken channel a message is sent for, and why that is broken, if it still is; or the fallback that has
    delivered it already."""

    instead_of: str | None = None
    because: str | None = None
    delivered_by: str | None = None


NO_FALLBACK = Fallback()


def with_delivery_notes(
    message: Message,
    *,
    possibly_sent: bool,
    happened_at: datetime,
    now: datetime,
    reason: str | None,
    fallback: Fallback = NO_FALLBACK,
) -> Message:
    """The message with what is to be said about its way: that it may be a repeat, that it is late, and why."""
    notes, title, summary = list(message.notes), message.title, message.summary
    if possibly_sent:
        title, summary = f"{title} (repeat)", f"(repeat) {summary}"
        notes.append("Repeat: an earlier attempt may have reached you already.")
    late = now - happened_at
    if late >= LATE_AFTER:
        because = f": {cut(reason, LONGEST_NOTE)}" if reason else "."
        notes.append(f"Sent {duration(late)} after it happened{because}")
    if fallback.instead_of:
        is_broken = f"is broken: {cut(fallback.because, LONGEST_NOTE)}" if fallback.because else "was broken."
        notes.append(f"Sent here because the channel {cut(fallback.instead_of, LONGEST_NAME)} {is_broken}")
    if fallback.delivered_by:
        notes.append(f"The channel {cut(fallback.delivered_by, LONGEST_NAME)} received it while this one was broken.")
    return replace(message, title=title, summary=summary, notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a route says about its messages: Slack's ids of the groups that alerts of each severity mention, if any."""

    time_zone: str = "UTC"
    slack_group_warn: str | None = None
    slack_group_critical: str | None = None


USUAL = Presentation()


def presented(message: Message, asked: Presentation) -> Message:
    """The message as a route wants it. Who is mentioned depends on what it calls for: an end calls nobody."""
    group = {Tone.CRITICAL: asked.slack_group_critical, Tone.WARN: asked.slack_group_warn}.get(message.tone)
    zone = ZoneInfo(asked.time_zone)
    facts = message.facts if asked.time_zone == "UTC" else tuple(_in_zone(fact, zone) for fact in message.facts)
    return replace(message, facts=facts, slack_group=group)


def _in_zone(fact: Fact, zone: ZoneInfo) -> Fact:
    ours = fact.label == NEXT
    return replace(fact, lines=tuple(tuple(_part(part, zone, ours=ours) for part in line) for line in fact.lines))


def _part(part: Part, zone: ZoneInfo, *, ours: bool) -> Part:
    if isinstance(part, datetime):
        return part.astimezone(zone)
    return WRITTEN.sub(lambda found: _rewritten(found, zone), part) if ours and isinstance(part, str) else part


def _rewritten(found: re.Match[str], zone: ZoneInfo) -> str:
    try:
        at = datetime.strptime(found[1], "%d %b %Y, %H:%M:%S").replace(tzinfo=UTC).astimezone(zone)
    except (ValueError, OverflowError):
        return found[0]
    return f"{at:%-d %b %Y, %H:%M:%S %Z}"


def _tone(story: Story) -> Tone:
    if story.last.kind in CLOSING:
        return Tone.CALM if story.last.cause in RECOVERED else Tone.NEUTRAL
    if story.last.kind in ALERTING or (story.is_catching_up and story.last.to.state in LIVE):
        reported = story.newest if story.reminder else story.last
        return Tone.CRITICAL if reported.to.severity is Severity.CRITICAL else Tone.WARN
    return Tone.NEUTRAL


def _summary(title: str, story: Story) -> str:
    step, began = story.last, story.began
    if story.long_drift_days:
        return f"{title}. {what_happened(story)} Incident #{step.incident_number}"
    parts, why = [title], story.evidence.why
    if (step.kind in ALERTING and step.why) or (story.is_catching_up and why):
        worst = why[0]
        most_telling = [each.text for each in worst.slices[:1]] or worst.moves[:1]
        parts += [capital(cut(text, LONGEST_LINE)) for text in (worst.how_serious, *most_telling) if text]
    if step.kind in CLOSING and began is not None:
        parts.append(f"It lasted {duration(step.at - began.at)}")
    return ". ".join([*parts, f"Incident #{step.incident_number}"])


def _also_reported(story: Story) -> Fact | None:
    """Earlier steps that could not be delivered; in a combined message the lead says that it is one for both."""
    earlier = story.reported[:-1]
    if not earlier:
        return None
    lines: list[Line] = [(step.at, f": {step_name(step)}") for step in earlier]
    if len(lines) > EARLIER_SHOWN:
        left_out = len(lines) - EARLIER_SHOWN + 1
        lines[1 : 1 + left_out] = [(f"… {left_out} more …",)]
    return Fact("Not delivered before", tuple(lines))


def _answers(story: Story) -> Fact | None:
    return Fact("The answers", ANSWERS) if story.long_drift_days else None


def _seriousness(story: Story) -> Fact | None:
    step = story.evidence if story.is_catching_up else story.last
    if not step.why:
        return None
    label = "How serious it was" if story.reminder else "How serious"
    return Fact(
        "Now" if step.kind in CLOSING else label,
        tuple((cut(why.how_serious, LONGEST_LINE),) for why in step.why),
    )


def _explained(story: Story) -> Transition | None:
    """The step whose drift a message explains; where it is over, the one it was about."""
    reported = reversed(story.history) if story.last.kind in CLOSING or story.is_catching_up else [story.last]
    return next((step for step in reported if any(_drifts(why) for why in step.why)), None)


def _is_past(story: Story) -> bool:
    """Whether what is explained was so when it was reported, and may not be now."""
    return story.last.kind in CLOSING or story.reminder is not None


def _why(story: Story) -> Fact | None:
    """The bins that carry the PSI of the signals that drift."""
    source = _explained(story)
    if source is None:
        return None
    lines: tuple[Line, ...] = tuple(
        (cut(text, LONGEST_LINE),) for why in source.why if _drifts(why) for text in _reasons(why)
    )
    label = "What had moved (baseline → then)" if _is_past(story) else "Why (baseline → now)"
    return Fact(label, lines) if lines else None


def _picture(story: Story) -> Fact | None:
    """The shares of all bins of the signal that drifts most, before and now, as two rows of bars."""
    source = _explained(story)
    worst = next((why for why in source.why if _drifts(why)), None) if source else None
    if worst is None or worst.bars is None:
        return None
    before, after = worst.bars
    ranges = any(isinstance(each, RangeBin) for each in worst.top_bins)
    segment = f" of segment “{cut(worst.segment, LONGEST_NAME)}”" if worst.segment is not None else ""
    label = f"{worst.signal.value.capitalize()}s{segment}, {'from low to high' if ranges else 'by value'}"
    lines: tuple[Line, ...] = ((Bars(before), " before"), (Bars(after), " then" if _is_past(story) else " now"))
    return Fact(label, lines, picture=True)


def _marked(story: Story) -> Fact | None:
    """What was marked before: a deployment, a holiday."""
    found = () if story.last.kind in CLOSING else story.last.markers
    lines: tuple[Line, ...] = tuple((each.at, f": {cut(each.text, LONGEST_LINE)}") for each in found)
    return Fact("Marked before", lines) if lines else None


def _reasons(why: SignalWhy) -> tuple[str, ...]:
    """Which version or segment it is, where the signal has gone, and what has moved most."""
    shift = [why.shift] if why.shift else []
    return (*(each.text for each in why.slices), *shift, *why.moves[:MOVES_SHOWN])


def _when(story: Story) -> Fact | None:
    began, step = story.began, story.last
    if story.still_critical and story.acknowledgement is not None:
        return Fact("Acknowledged since", ((story.acknowledgement.at,),))
    if story.reminder is not None and not story.long_drift_days:
        return Fact("Not acknowledged since", ((story.unacknowledged_since,),))
    if began is None:
        return Fact("When", ((step.at,),))
    if step.kind in CLOSING:
        return Fact("It lasted", ((f"{duration(step.at - began.at)}, from ", began.at, " to ", step.at),))
    since: Line = (began.at,)
    if step.sequence > began.sequence and not story.long_drift_days:
        since = (began.at, f" ({duration(step.at - began.at)})")
    return Fact("Since", (since,))


def _acknowledged(story: Story) -> Fact | None:
    """Whether anybody has acknowledged what is over now."""
    if story.last.kind not in CLOSING or story.last.cause in BY_PERSON:
        return None
    by = story.acknowledged_by
    return Fact("Acknowledged by", ((cut(by, LONGEST_NAME) if by else "nobody",),))


def _note(story: Story) -> Fact | None:
    step = story.last
    if not step.note:
        return None
    label = "What was changed" if step.cause in BY_MONITOR else f"Note by {actor_name(step)}"
    return Fact(label, ((cut(step.note, LONGEST_NOTE),),))


def _meanwhile(story: Story) -> Fact | None:
    """What has happened since without an alert of its own, where the message is late."""
    lines: tuple[Line, ...] = tuple((step.at, f": {step_name(step)}") for step in story.later if not step.alert)
    return Fact("Meanwhile", lines[-LATER_SHOWN:]) if lines else None


def _what_next(story: Story) -> Fact:
    return Fact(NEXT, tuple((line,) for line in what_next(story)))


def _drifts(why: SignalWhy) -> bool:
    """Whether a signal is at or above its warning threshold."""
    return why.psi is not None and why.warn_at is not None and why.psi >= why.warn_at

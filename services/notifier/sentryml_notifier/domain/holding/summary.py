"""The summary of what a route has held: how many, what is still live, what is over, where all are."""

from __future__ import annotations

from sentryml_notifier.domain.group_text import (
    GroupReport,
    common,
    counted,
    ended,
    is_critical,
    is_live,
    list_url,
    shared_by,
    worst,
    worst_first,
)
from sentryml_notifier.domain.message import NEXT, Fact, Line, Message, Tone


def compose_held(report: GroupReport) -> Message:
    stories = worst_first(report.stories)
    live, over = [each for each in stories if is_live(each)], [each for each in stories if not is_live(each)]
    title = f"Held alerts · {counted(stories)}"
    parts = (
        worst("Live, the worst first", live, len(live)),
        Fact("Over", ended(over).lines) if over else None,
        common(stories),
        Fact("Held", ((report.group.began_at, " to ", report.group.closes_at),)),
        Fact(NEXT, _next(len(live))),
    )
    return Message(
        tone=Tone.CRITICAL if any(map(is_critical, live)) else Tone.WARN if live else Tone.NEUTRAL,
        title=title,
        summary=". ".join([title, *shared_by(stories)[:1], f"Alert group {report.group.group_number}"]),
        lead=(
            f"{len(stories)} incidents had alerts while the schedule of their route held them (alert group "
            f"{report.group.group_number})."
        ),
        facts=tuple(part for part in parts if part is not None),
        link_label=f"List {'and acknowledge ' if live else ''}all {len(stories)} incidents",
        link_url=list_url(report),
    )


def _next(live: int) -> tuple[Line, ...]:
    if not live:
        return (("An incident that reopens alerts again.",),)
    return (
        ("An escalation to critical is a message of its own.",),
        ("Ends are one message: when all are over, or an hour after the first.",),
        ("Acknowledging ends reminders; it does not mute alerts.",),
    )

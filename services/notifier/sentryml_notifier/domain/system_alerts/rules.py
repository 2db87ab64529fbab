"""When a system alert begins and ends. Pure.

A fault has to be found for a while, so that a restart alerts nobody, and to be gone for a while, so that none begins
twice. While somebody who would know does not answer, nothing begins or ends of what they would know. While Kafka does
not answer, its consequences are no faults of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sentryml_common.contracts.internal.system_state import SystemFault

BEGINS_AFTER, ENDS_AFTER = timedelta(seconds=60), timedelta(seconds=30)

KNOWN_BY_INCIDENTS = frozenset(
    {SystemFault.INPUT_STALLED, SystemFault.EVALUATIONS_STALLED, SystemFault.TRANSITIONS_STALLED}
)
CAUSED_BY_KAFKA = KNOWN_BY_INCIDENTS | {SystemFault.COMMITS_STALLED}
CAUSES: Mapping[SystemFault, frozenset[SystemFault]] = {
    SystemFault.KAFKA_AWAY: CAUSED_BY_KAFKA,
    # Where there is no combiner, none commits.
    SystemFault.INPUT_STALLED: frozenset({SystemFault.COMMITS_STALLED}),
}


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What does not work: a fault, and of which channel, where it is one of a channel."""

    fault: SystemFault
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault as it was found: since when, and what is known of it, as a sentence."""

    subject: Subject
    since: datetime
    text: str


@dataclass(frozen=True, slots=True)
class SystemAlert:
    """A fault that people were or are to be alerted to. `ended_at` is None as long as it lasts."""

    alert_id: UUID
    subject: Subject
    since: datetime
    text: str
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """Since when each fault has been found without an interruption, and each alert's fault has been gone."""

    found: Mapping[Subject, datetime] = field(default_factory=dict)
    gone: Mapping[Subject, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What begins and what ends now."""

    observed: Observed
    begins: tuple[Finding, ...] = ()
    ends: tuple[Subject, ...] = ()


def judge(
    observed: Observed,
    live: Collection[Subject],
    findings: Collection[Finding],
    unknown: Collection[SystemFault],
    now: datetime,
) -> Verdict:
    """What follows from the `findings` of now; of the faults in `unknown` nothing is known at the moment."""
    faults = {each.fault for each in (*live, *(found.subject for found in findings))}
    for cause, caused in CAUSES.items():
        if cause in faults:
            unknown = {*unknown, *caused}
    known = {each.subject: each for each in findings if each.subject.fault not in unknown}
    found = {each: observed.found.get(each, now) for each in known if each not in live}
    absent = [each for each in live if each not in known and each.fault not in unknown]
    gone = {each: observed.gone.get(each, now) for each in absent}
    begins = tuple(known[each] for each, since in sorted(found.items()) if now - since >= BEGINS_AFTER)
    ends = tuple(each for each, since in sorted(gone.items()) if now - since >= ENDS_AFTER)
    return Verdict(Observed(found, gone), begins, ends)

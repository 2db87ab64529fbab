"""What Slack has got, held against what was published and what the ledger says: violations as text, and a table."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from sentryml_common.contracts.transition import Severity, Transition
from sentryml_local.slack_stand_in.page import as_text
from sentryml_local.slack_stand_in.store import Request
from sentryml_notifier.domain.routing import ALERTING

AMBIGUOUS = frozenset({"uncertain", "interrupted"})

OVERTAKING_GRACE = timedelta(seconds=3)
"""A message may be under way, and a batch of transitions not yet committed, when a critical alert comes; it may wait
for its group besides."""

TITLES = {
    "drift, escalated": "escalated",
    "drift is back": "reopened",
    "current state": "",
    "Resolved": "resolved",
    "drift": "opened",
}
MODEL = re.compile(r" · (\S+?)(?: \(repeat\))?$")
GROUP = re.compile(r" · \d+ (?:more )?models?\b|Over: ")
SEND = re.compile(r"send ([0-9a-f-]{36})")
BEFORE = re.compile(r" UTC: (Opened|Escalated|Resolved|Reopened)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Posted:
    """What one request to Slack said of one model, and whether Slack accepted it."""

    number: int
    at: datetime
    model_id: str
    kinds: frozenset[str]
    marked: bool
    accepted: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery in the ledger, with (send_id, outcome) of its attempts, oldest first."""

    model_id: str
    kind: str
    state: str
    created_at: datetime
    text: str | None
    attempts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Facts:
    """All there is to judge by. `played` names the fault of each request, by its number; `held` is how long an alert
    may wait for its group."""

    published: Sequence[Transition]
    entries: Sequence[Entry]
    requests: Sequence[Request]
    played: Mapping[int, str]
    held: timedelta = timedelta(0)
    posted: Sequence[Posted] = field(init=False)

    def __post_init__(self) -> None:
        models = {step.model_id for step in self.published}
        covered = covered_by(self.entries)
        found = [posted for request in self.requests for posted in read(request, covered)]
        object.__setattr__(self, "posted", [each for each in found if each.model_id in models])

    @property
    def groups(self) -> int:
        """The number of messages about several incidents that Slack accepted."""
        return sum(each.accepted and bool(GROUP.search(_title(each))) for each in self.requests)


def covered_by(entries: Sequence[Entry]) -> dict[str, dict[str, frozenset[str]]]:
    """By send: the kinds of steps that it covered of each model, as the ledger has it."""
    found: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for entry in entries:
        for send_id, _ in entry.attempts:
            known = found[send_id].get(entry.model_id, frozenset())
            found[send_id][entry.model_id] = known | {entry.kind}
    return found


def read(request: Request, covered: Mapping[str, Mapping[str, frozenset[str]]]) -> list[Posted]:
    """What a request tells: of one model what it says itself, of the models of a group what the ledger has of the send
    that it names; nothing if it is no message of ours."""
    title, text = _title(request), as_text(request.payload or {})
    marked = title.endswith("(repeat)")
    if GROUP.search(title):
        send = SEND.search(text)
        models = covered.get(send[1], {}) if send else {}
        return [
            Posted(request.number, request.at, model_id, kinds, marked, request.accepted)
            for model_id, kinds in models.items()
        ]
    model = MODEL.search(title)
    if model is None:
        return []
    said = next(kind for text_of_title, kind in TITLES.items() if text_of_title in title)
    kinds = frozenset({said} - {""}) | frozenset(map(str.lower, BEFORE.findall(text)))
    return [Posted(request.number, request.at, model[1], kinds, marked, request.accepted)]


def _title(request: Request) -> str:
    return as_text(request.payload or {}).partition("\n")[0]


def violations(facts: Facts) -> list[str]:
    """Every promise that was broken, as text; none if all were kept."""
    checks = (
        _all_in_ledger,
        _groups_in_ledger,
        _delivered_or_undeliverable,
        _reported_as_ledger_says,
        _order,
        _repeats,
        _known_to_ledger,
        _criticals,
    )
    return [violation for check in checks for violation in check(facts)]


def _all_in_ledger(facts: Facts) -> Iterator[str]:
    known = {(entry.model_id, entry.kind) for entry in facts.entries}
    for step in facts.published:
        if (step.model_id, step.kind.value) not in known:
            yield f"lost: {step.model_id} {step.kind.value} is not in the ledger"


def _groups_in_ledger(facts: Facts) -> Iterator[str]:
    """Each message of a group is a send of as many incidents as it says."""
    covered = covered_by(facts.entries)
    for request in facts.requests:
        title, text = _title(request), as_text(request.payload or {})
        if not GROUP.search(title):
            continue
        send = SEND.search(text)
        models = covered.get(send[1], {}) if send else {}
        said = re.search(r" · (\d+) ", title)
        if not models or (said is not None and int(said[1]) != len(models)):
            yield f"unknown: request {request.number}, {title}, covers {len(models)} incidents by the ledger"


def _delivered_or_undeliverable(facts: Facts) -> Iterator[str]:
    for entry in facts.entries:
        if entry.state not in ("delivered", "parked"):
            yield f"left over: {entry.model_id} {entry.kind} is {entry.state}"
        if entry.state == "parked" and not entry.text:
            yield f"parked without a reason: {entry.model_id} {entry.kind}"


def _reported_as_ledger_says(facts: Facts) -> Iterator[str]:
    posted = {(each.model_id, kind) for each in facts.posted if each.accepted for kind in each.kinds}
    for entry in facts.entries:
        if entry.state == "delivered" and (entry.model_id, entry.kind) not in posted:
            yield f"lost: {entry.model_id} {entry.kind} is delivered by the ledger, and Slack never got it"


def _order(facts: Facts) -> Iterator[str]:
    places = {(step.model_id, step.kind.value): step.sequence for step in facts.published}
    for model_id, messages in _by_model(each for each in facts.posted if each.accepted).items():
        lasts = [max(places.get((model_id, kind), 0) for kind in each.kinds) for each in messages]
        if any(later < earlier for earlier, later in pairwise(lasts)):
            yield f"out of order: {model_id} showed its steps as {lasts}"


def _repeats(facts: Facts) -> Iterator[str]:
    doubts: Counter[tuple[str, str]] = Counter()
    for entry in facts.entries:
        doubts[entry.model_id, entry.kind] += sum(outcome in AMBIGUOUS for _, outcome in entry.attempts)
    for model_id, messages in _by_model(each for each in facts.posted if each.accepted).items():
        seen: Counter[str] = Counter()
        for each in messages:
            if not each.marked and any(seen[kind] for kind in each.kinds):
                yield f"doubled without a word: {model_id} {sorted(each.kinds)}, request {each.number}"
            if each.marked and not any(doubts[model_id, kind] for kind in each.kinds):
                yield f"marked as a repeat without a doubt: {model_id} {sorted(each.kinds)}, request {each.number}"
            seen.update(each.kinds)
        for kind, count in seen.items():
            if count > 1 + doubts[model_id, kind]:
                yield f"doubled: {model_id} {kind} came {count} times after {doubts[model_id, kind]} ambiguous failures"


def _known_to_ledger(facts: Facts) -> Iterator[str]:
    sends: dict[str, set[str]] = defaultdict(set)
    for entry in facts.entries:
        sends[entry.model_id] |= {send_id for send_id, _ in entry.attempts}
    for model_id, messages in _by_model(facts.posted).items():
        if len(messages) > len(sends[model_id]):
            yield f"unknown: {model_id} was sent {len(messages)} times, the ledger knows {len(sends[model_id])}"


def _criticals(facts: Facts) -> Iterator[str]:
    """No message of incidents that were never critical leaves while a critical alert waits for its first attempt."""
    critical = critical_models(facts)
    urgent = {each.number for each in facts.posted if each.model_id in critical}
    calm = sorted({(each.number, each.at) for each in facts.posted if each.number not in urgent})
    first = {model_id: messages[0].at for model_id, messages in _by_model(facts.posted).items()}
    for entry in facts.entries:
        # The opening alone: what comes later may wait behind an earlier step that backs off.
        if entry.kind != "opened" or entry.model_id not in critical or entry.model_id not in first:
            continue
        opened_critical = (entry.model_id, "opened") in critical_alerts(facts)
        if not opened_critical or not entry.attempts or entry.attempts[0][1] == "interrupted":
            continue
        since = entry.created_at + OVERTAKING_GRACE + facts.held
        overtaken = sum(since < at < first[entry.model_id] for _, at in calm)
        if overtaken:
            yield f"not first: {overtaken} calmer messages left while the critical alert of {entry.model_id} waited"


def critical_alerts(facts: Facts) -> frozenset[tuple[str, str]]:
    """(model, kind) of critical alerts."""
    return frozenset(
        (step.model_id, step.kind.value)
        for step in facts.published
        if step.kind in ALERTING and step.to.severity is Severity.CRITICAL
    )


def critical_models(facts: Facts) -> frozenset[str]:
    """Models that had a critical alert."""
    return frozenset(model_id for model_id, _ in critical_alerts(facts))


def _by_model(posted: Iterable[Posted]) -> dict[str, list[Posted]]:
    found: dict[str, list[Posted]] = defaultdict(list)
    for each in posted:
        found[each.model_id].append(each)
    return found


def table(facts: Facts) -> list[str]:
    """Per fault: attempts that met it, alerts of those incidents delivered and parked, and repeats of them."""
    rows = [f"{'Slack answered':<18} {'attempts':>8} {'delivered':>9} {'repeats':>7} {'parked':>6}"]
    states: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in facts.entries:
        states[entry.model_id][entry.state] += 1
    repeats = Counter(each.model_id for each in facts.posted if each.accepted and each.marked)
    met: dict[str, list[str]] = defaultdict(list)
    for each in facts.posted:
        met[facts.played.get(each.number, "as usual")].append(each.model_id)
    for entry in facts.entries:
        interrupted = {send_id for send_id, outcome in entry.attempts if outcome == "interrupted"}
        met["(sender killed)"] += [entry.model_id] * len(interrupted)
    for fault in sorted(met):
        models = set(met[fault])
        delivered, parked = (sum(states[model][state] for model in models) for state in ("delivered", "parked"))
        again = sum(repeats[model] for model in models)
        rows.append(f"{fault:<18} {len(met[fault]):>8} {delivered:>9} {again:>7} {parked:>6}")
    return rows


def latencies(facts: Facts) -> list[str]:
    """From the transition to the first message that Slack took, for critical alerts and for warnings."""
    taken: dict[tuple[str, str], datetime] = {}
    for each in facts.posted:
        if each.accepted:
            for kind in each.kinds:
                taken.setdefault((each.model_id, kind), each.at)
    critical, lines = critical_alerts(facts), []
    for name, critical_ones in (("critical", True), ("warn", False)):
        seconds = sorted(
            (taken[key] - step.at).total_seconds()
            for step in facts.published
            if step.kind in ALERTING
            and (key := (step.model_id, step.kind.value)) in taken
            and (key in critical) == critical_ones
        )
        if seconds:
            parts = [
                f"{share:.0%} {seconds[min(len(seconds) - 1, int(share * len(seconds)))]:.1f} s" for share in QUANTILES
            ]
            lines.append(f"latency of {len(seconds)} {name} alerts: {', '.join(parts)}")
    return lines


QUANTILES = (0.5, 0.9, 0.99, 1.0)

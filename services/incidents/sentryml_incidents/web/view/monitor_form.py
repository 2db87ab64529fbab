"""A monitor as a form: each setting with its name for people, what it does, its default, and how it is entered.

A form is a text for each setting; an empty one asks for the default. Signals are names with a space between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sentryml_common.contracts.monitor import MonitorValues
from sentryml_incidents.web.view.form_parsing import (
    NotRead,
    read_count,
    read_number,
    read_optional_span,
    read_share,
    read_span,
    read_switch,
    write_number,
    write_optional_span,
    write_share,
    write_span,
    write_switch,
)

Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is entered: `unit` is beside the field."""

    unit: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


SPAN = Kind("s, min, h or d", read_span, write_span)
SPAN_OR_OFF = Kind("s, min, h or d, or off", read_optional_span, write_optional_span)
SWITCH = Kind("on or off", read_switch, write_switch)
TIME_ZONE = Kind("", str, str)
PSI = Kind("PSI", read_number, write_number)
INCIDENTS = Kind("incidents", read_number, write_number)
SHARE = Kind("per cent", read_share, write_share)
IN_A_ROW = Kind("evaluations in a row", read_count, str)
BINS = Kind("bins", read_count, str)
EVENTS = Kind("events", read_count, str)
SIGNALS = Kind("", str.split, " ".join)


@dataclass(frozen=True, slots=True)
class Setting:
    """One field. `automatic` is the default in words, where that depends on other settings."""

    name: str
    label: str
    kind: Kind
    means: str
    automatic: str | None = None

    @property
    def default(self) -> Any:
        """What an empty field asks for."""
        return MonitorValues.model_fields[self.name].default

    @property
    def default_text(self) -> str:
        """The default as it would be entered, or in words."""
        return self.automatic or _text(self, self.default)


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together."""

    title: str
    settings: tuple[Setting, ...]


MAIN = Group(
    "Thresholds and windows",
    (
        Setting("warn", "Warning from", PSI, "Never below what chance alone shows in samples of that size."),
        Setting("critical", "Critical from", PSI, "As for warnings."),
        Setting("false_incidents_per_model_month", "False-alarm budget", INCIDENTS,
                "Incidents by chance alone, per model and month; sets how far above chance PSI has to be. Less is "
                "quieter."),
        Setting("current_seconds", "Current window", SPAN,
                "The newest time, which is compared. Shorter sees drift sooner, and needs more events."),
        Setting("baseline_seconds", "Baseline", SPAN,
                "How much normal time before the current window it is compared with. Time of drift is left out."),
        Setting("season_seconds", "Season", SPAN_OR_OFF,
                "What differs from the baseline is also compared with the same time one season ago, and alerts only if "
                "it differs from that too. Off: only the baseline counts."),
    ),
)  # fmt: skip
COMPARED = Group(
    "What is compared, and how",
    (
        Setting("signals", "Signals", SIGNALS, "What is monitored of each event."),
        Setting("every_seconds", "Time between evaluations", SPAN, "How often both windows are compared."),
        Setting("bins", "Bins", BINS,
                "Quantile bins of a numeric signal. More see finer shifts, and need more events."),
        Setting("time_zone", "Time zone", TIME_ZONE,
                "The clock by which the same time of another day is found, with daylight saving."),
        Setting("slow_drift", "Slow drift", SWITCH,
                "Whether drift away from the reference, which does not move, opens a warning. Off: it is only shown."),
        Setting("silence", "Silence", SWITCH,
                "Whether a warning is opened when no predictions come for longer than the model's own pace explains."),
        Setting("evaluate_segments", "Evaluate segments", SWITCH,
                "Whether each segment with predictions enough is compared with its own baseline, too, and opens an "
                "incident by itself. All segments share a false-alarm budget as large as the model's: the more there "
                "are, the larger is the shift that is found in one."),
        Setting("min_samples", "Minimum number of events", EVENTS,
                "With fewer in either window, an evaluation reports insufficient data.", "5 for each bin"),
        Setting("min_baseline_coverage", "Minimum baseline coverage", SHARE,
                "Below it the model is warming up, and not evaluated."),
    ),
)  # fmt: skip
CONFIRMING = Group(
    "When an incident opens, and gets worse or better",
    (
        Setting("confirm_warn", "Warnings that open it", IN_A_ROW, "Evaluations at warn or worse."),
        Setting("confirm_critical", "Critical evaluations that open or escalate it", IN_A_ROW,
                "Evaluations at critical; and as many at which it is worse within its severity."),
        Setting("confirm_deescalate", "Evaluations below critical that de-escalate it", IN_A_ROW,
                "The severity falls to warn then, without an alert. Near the critical threshold is not below it."),
    ),
)  # fmt: skip
ENDING = Group(
    "When it ends, and comes back",
    (
        Setting("confirm_resolve", "Clean evaluations that resolve it", IN_A_ROW, "Clean evaluations."),
        Setting("resolve_below", "Clean means below", SHARE,
                "This part of the warning threshold, and of the critical one for de-escalation, so that small "
                "fluctuations around them change nothing."),
        Setting("resolve_after_seconds", "Clean for at least", SPAN, "It also has to stay clean for this long.",
                "10 min, or 10 % of the current window if that is longer"),
        Setting("reopen_seconds", "Reopens within", SPAN,
                "Drift within this time after resolving reopens the incident; later, a new one opens.",
                "1 h, or a quarter of the current window if that is longer"),
        Setting("latch_seconds", "Quiet after closing", SPAN,
                "An incident closed while drifting stays quiet for this long, unless it gets worse or recovers."),
        Setting("close_after_seconds", "Closed after", SPAN, "A resolved incident is closed after this time."),
    ),
)  # fmt: skip
LISTED_MOST = 6
MORE = (COMPARED, CONFIRMING, ENDING)
"""What most monitors never change; the page shows each of these groups on request."""
SETTINGS = {each.name: each for group in (MAIN, *MORE) for each in group.settings}
"""All settings but `enabled`, which is no field: switching off ends incidents, and has a form of its own."""


def write(values: MonitorValues) -> Texts:
    """A monitor as it would be entered."""
    return {name: _write(each, getattr(values, name)) for name, each in SETTINGS.items()}


def other_than_default(group: Group, texts: Mapping[str, str]) -> tuple[str, ...]:
    """The labels of the settings in a group that are entered, or in force, other than by default."""
    return tuple(
        each.label for each in group.settings if _tidy(texts[each.name]) not in ("", _write(each, each.default))
    )


def as_query(changed: Mapping[str, Any]) -> str:
    """The address's query that puts settings into the form."""
    return urlencode({name: _write(SETTINGS[name], value) for name, value in changed.items()})


def _write(setting: Setting, value: Any) -> str:
    if value is None and setting.kind is not SPAN_OR_OFF:
        return ""
    return setting.kind.write(value)


def read(texts: Mapping[str, str]) -> tuple[dict[str, Any], Texts]:
    """(the settings that are asked for, what is wrong with the others by name)."""
    requested: dict[str, Any] = {}
    wrong: Texts = {}
    for name, setting in SETTINGS.items():
        text = texts.get(name, "").strip()
        try:
            requested[name] = _read(setting, text)
        except NotRead as err:
            wrong[name] = str(err)
    return requested, wrong


def _read(setting: Setting, text: str) -> Any:
    if text:
        return setting.kind.read(text)
    if setting.kind is SIGNALS:
        raise NotRead("tick at least one")
    return setting.default


@dataclass(frozen=True, slots=True)
class Rebased:
    """A form that somebody else was quicker than: `texts` hold both changes; `theirs` is what is in force where both
    have changed the same setting, and differently."""

    texts: Texts
    theirs: Texts


def rebase(entered: Mapping[str, str], seen: MonitorValues, current: MonitorValues) -> Rebased:
    """What was entered over the monitor that was seen, as a form over the one that is in force by now."""
    before, now = write(seen), write(current)
    touched = {name for name in SETTINGS if _tidy(entered.get(name, "")) != before[name]}
    texts = {name: entered.get(name, "") if name in touched else now[name] for name in SETTINGS}
    both = {name for name in touched if now[name] not in (before[name], _tidy(texts[name]))}
    return Rebased(texts, {name: now[name] for name in SETTINGS if name in both})


def _tidy(text: str) -> str:
    return " ".join(text.split())


def changes_in_words(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """`Warning from: 0.1 → 0.15; Baseline: 7 d → 3 d`."""
    return "; ".join(
        f"{_label(name)}: {_shown(name, old)} → {_shown(name, new)}" for name, (old, new) in changed.items()
    )


def labels_of(names: Collection[str]) -> str:
    """`Warning from, Critical from`; of many, how many."""
    if len(names) > LISTED_MOST:
        return f"{len(names)} settings"
    return ", ".join(_label(name) for name in ("enabled", *SETTINGS) if name in names)


def _label(name: str) -> str:
    return SETTINGS[name].label if name in SETTINGS else {"enabled": "Monitor"}.get(name, name)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None and name != "season_seconds":
        return "the default"
    return _text(SETTINGS[name], value) if name in SETTINGS else str(value)


def _text(setting: Setting, value: Any) -> str:
    return ", ".join(value) if setting.kind is SIGNALS else setting.kind.write(value)


_NAME = re.compile(r"\b([a-z]+(?:_[a-z]+)*)(?: \(([\d.e+-]+)\))?")
_SECONDS = re.compile(r"\b([\d.]+(?:e[+-]?\d+)?) s\b")
_LIMIT = re.compile(r"[\d.]+(?:e[+-]?\d+)?$")


def reason_in_words(name: str, reason: str) -> str:
    """What is wrong with a setting, as the API says it, in the words of the form."""
    if name in SETTINGS and SETTINGS[name].kind in (SPAN, SHARE):
        reason = _LIMIT.sub(lambda found: SETTINGS[name].kind.write(float(found[0])), reason)
    reason = _SECONDS.sub(lambda found: write_span(float(found[1])), reason)
    return (
        _NAME.sub(_named, reason)
        .replace("set it to null for", "leave it empty for")
        .replace("(null means", "(empty means")
    )


def _named(found: re.Match[str]) -> str:
    setting = SETTINGS.get(found[1])
    if setting is None or ("_" not in found[1] and found[2] is None):
        return found[0]
    return f"“{setting.label}”" + (f" ({_figure(setting, float(found[2]))})" if found[2] else "")


def _figure(setting: Setting, value: float) -> str:
    return setting.kind.write(value) if setting.kind in (SPAN, SHARE) else write_number(value)

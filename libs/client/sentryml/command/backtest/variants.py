"""The settings that a backtest tries: those that are asked for, and a few others beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sentryml.command.monitors.files import BadFile, read
from sentryml.command.terminal import USAGE, Failed
from sentryml_common.contracts.monitor import HOUR, MonitorSettings


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings, and what they are in a few words. `changes` are those that differ from the first variant's."""

    name: str
    settings: MonitorSettings
    changes: Mapping[str, Any]


def variants_of(file: Path | None, given: list[str], alone: bool) -> list[Variant]:
    """The settings of a monitor's file and `NAME=VALUE`, over the default ones, and unless `alone`, others beside them.

    Raises:
        Failed: there is no such setting, or a value does not fit.
    """
    values = {**_values_in(file), **dict(map(_value, given))}
    first = Variant("given settings" if values else "default settings", _settings(values), values)
    others = [] if alone else [_changed(first.settings, *each) for each in _others(first.settings)]
    return [first, *(each for each in others if each is not None)]


def _others(base: MonitorSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "more sensitive: half the thresholds", {"warn": base.warn / 2, "critical": base.critical / 2}
    yield "less sensitive: twice the thresholds", {"warn": base.warn * 2, "critical": base.critical * 2}
    if base.current_seconds >= 4 * HOUR:
        yield "sooner: a quarter of the current window", {"current_seconds": base.current_seconds / 4}
    yield "smoother: twice the current window", {"current_seconds": base.current_seconds * 2}


def _changed(base: MonitorSettings, name: str, changes: dict[str, Any]) -> Variant | None:
    try:
        return Variant(name, MonitorSettings.model_validate({**dict(base), **changes}), changes)
    except ValidationError:  # with what was asked for, this one contradicts itself
        return None


def _values_in(file: Path | None) -> Mapping[str, Any]:
    """The settings in a monitor's file."""
    if file is None:
        return {}
    try:
        found = read(file)
    except BadFile as err:
        raise Failed(str(err)) from err
    for name in found.settings:
        if name not in MonitorSettings.model_fields:
            raise Failed(f"{found.where(name)}: a monitor has no such setting")
    return found.settings


def _value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in MonitorSettings.model_fields:
        names = ", ".join(MonitorSettings.model_fields)
        raise Failed(f"--set {text}: say NAME=VALUE, with one of {names}", USAGE)
    if name == "signals":
        return name, value.split(",")
    return name, None if value in ("null", "none") else value


def _settings(values: Mapping[str, Any]) -> MonitorSettings:
    try:
        settings = MonitorSettings.model_validate(values)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        name = f"{first['loc'][0]}: " if first["loc"] else ""
        raise Failed(f"these settings do not fit: {name}{first['msg']}", USAGE) from err
    return settings.model_copy(update={"enabled": True})

"""Advice for the eye: each monitor that was tried in the words of the form, with the address that fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sentryml_common.contracts.monitor import MonitorValues
from sentryml_incidents.api.previews.advice_view import AdviceRow, AdviceView
from sentryml_incidents.web.view.monitor_form import as_query, changes_in_words


@dataclass(frozen=True, slots=True)
class AdvisedRow:
    """One monitor; without `query` it is the one in force."""

    view: AdviceRow
    text: str
    query: str
    known_for: timedelta

    @property
    def shifts(self) -> str:
        """`score 0.13, prediction 0.2`."""
        return ", ".join(f"{each.signal} {each.psi:.2g}" for each in self.view.smallest_shifts)


@dataclass(frozen=True, slots=True)
class AdviceTable:
    """All that were tried; and in words, which others were not and why."""

    seconds: float
    rows: tuple[AdvisedRow, ...]
    not_tried: tuple[tuple[str, str], ...]
    segments_left_out: str | None


def advice_table(view: AdviceView, monitor: MonitorValues) -> AdviceTable:
    """The table of a monitor's page."""
    rows = (
        AdvisedRow(each, _text(each.settings, monitor), as_query(each.settings), view.to - each.since)
        for each in view.rows
    )
    not_tried = ((_text(each.settings, monitor), each.because) for each in view.not_tried)
    return AdviceTable(view.seconds, tuple(rows), tuple(not_tried), view.segments_left_out)


def _text(changed: Mapping[str, Any], monitor: MonitorValues) -> str:
    return changes_in_words({name: (getattr(monitor, name), value) for name, value in changed.items()}) or "In force"

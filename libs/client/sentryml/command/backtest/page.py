"""One page with everything a backtest found: no JavaScript, nothing to load, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from sentryml.command.backtest.outcomes import Opened, Outcome, Tried
from sentryml.command.backtest.pictures import bins_picture, events_picture, psi_picture, strip
from sentryml.command.backtest.tables import lasted, live_share, verdict
from sentryml.command.terminal import Failed, plain
from sentryml_lifecycle.text.number_format import ONE

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6979; --line: #e2e6ec; --ground: #ffffff; --card: #f7f8fa;
  --psi: #2b5fd9; --warn: #b7791f; --critical: #c53030; --before: #9aa5b4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #2c3542; --ground: #12161c;
  --card: #1a2029; --psi: #7da2ff; --warn: #e0a84a; --critical: #ff7b72; --before: #5d6979; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1000px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 20px; margin: 48px 0 4px; overflow-wrap: anywhere; }
h3 { font-size: 15px; margin: 32px 0 8px; } p { margin: 4px 0 12px; } .soft, figcaption { color: var(--soft); }
figure { margin: 16px 0; } figcaption { font-size: 13px; margin-bottom: 4px; }
svg { display: block; width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--line); } .psi { fill: none; stroke: var(--psi); stroke-width: 1.6; }
.threshold { fill: none; stroke-dasharray: 5 4; } .threshold.warn { stroke: var(--warn); }
.threshold.critical { stroke: var(--critical); } .band { fill-opacity: 0.22; } .band.warn { fill: var(--warn); }
.band.critical { fill: var(--critical); } .events, .before { fill: var(--before); } .then { fill: var(--psi); }
.ground { fill: var(--card); } .scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--soft); }
th, td { padding: 6px 16px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th.number, td.number { text-align: right; white-space: nowrap; }
td.when { white-space: nowrap; } td.strip { min-width: 260px; vertical-align: middle; }
svg.strip { height: 14px; } .strip .band { fill-opacity: 0.8; } .strip .ground { fill: var(--line); }
.severity { font-weight: 600; } .severity.warn { color: var(--warn); } .severity.critical { color: var(--critical); }
details { background: var(--card); border-radius: 8px; padding: 10px 16px; margin: 8px 0; }
summary { cursor: pointer; font-weight: 600; } .key { display: inline-block; width: 10px; height: 10px; }
@media print { details { break-inside: avoid; } }
"""
FIGURES = ("highest PSI", "incidents", "critical", "alerts", "live")
NUMBER = ' class="number"'
PICTURES = 10
"""Incidents that are shown in detail: those with the highest PSI."""


def write_page(path: Path, name: str, tried: Sequence[Tried]) -> None:
    """Write the page.

    Raises:
        Failed: it cannot be written.
    """
    title = f"Backtest of {plain(name)}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{_safe(title)}</h1>",
        '<p class="soft">What SentryML would have found in these predictions. What people would have done '
        "(acknowledge, close, accept) is not in it. Times are in UTC.</p>",
        *(_model(each) for each in tried),
        "</body></html>\n",
    ]
    try:
        path.write_text("\n".join(parts), encoding="utf-8", errors="replace")
    except OSError as err:
        raise Failed(f"{path} cannot be written: {err.strerror}") from err


def _model(tried: Tried) -> str:
    first = tried.outcomes[0]
    span = f"{tried.start:%-d %b %Y, %H:%M} to {tried.end:%-d %b %Y, %H:%M}"
    parts = [
        f"<h2>{_safe(tried.model_id)}</h2><p>{_safe(verdict(tried, first))}<br>"
        f'<span class="soft">{tried.events:,} events, {span}</span></p>',
        f'<p class="soft">{_safe(tried.segments_left_out)}</p>' if tried.segments_left_out else "",
        _figure(
            "The highest PSI of each evaluation. Dashed: where a warning and where critical begins. Shaded: incidents.",
            psi_picture(tried, first),
        ),
        _figure("Events a day", events_picture(tried)),
        _incidents(tried, first),
        _variants(tried) if len(tried.outcomes) > 1 else "",
        _details(first),
    ]
    return "\n".join(parts)


def _incidents(tried: Tried, outcome: Outcome) -> str:
    if not outcome.incidents:
        return ""
    rows = [
        f'<tr><td class="number">#{number}</td><td class="when">{each.incident.opened_at:%-d %b %H:%M}</td>'
        f'<td class="when">{_safe(lasted(tried, each))}</td><td>{_severity(each)}</td>'
        f'<td class="number">{each.incident.peak_psi:.2f}</td><td class="number">{each.incident.alerts}</td>'
        f"<td>{_safe(each.found.why)}</td></tr>"
        for number, each in enumerate(outcome.incidents, 1)
    ]
    headings = ("", "opened", "lasted", "severity", "highest PSI", "alerts", "why")
    return "<h3>Incidents</h3>" + _table(headings, rows)


def _variants(tried: Tried) -> str:
    rows = [
        f'<tr><td>{_safe(each.variant.name)}</td><td class="number">{len(each.incidents)}</td>'
        f'<td class="number">{each.critical}</td><td class="number">{each.alerts}</td>'
        f'<td class="number">{live_share(tried, each):.0%}</td><td class="strip">{strip(tried, each)}</td></tr>'
        for each in tried.outcomes
    ]
    headings = ("settings", "incidents", "critical", "alerts", "live", "when")
    return "<h3>With other settings</h3>" + _table(headings, rows)


def _details(outcome: Outcome) -> str:
    numbered = [(number, each) for number, each in enumerate(outcome.incidents, 1) if each.found.worst is not None]
    chosen = sorted(sorted(numbered, key=lambda each: -each[1].incident.peak_psi)[:PICTURES])
    if not chosen:
        return ""
    title = "What moved" if len(chosen) == len(numbered) else f"What moved, in the {PICTURES} with the highest PSI"
    return f"<h3>{title}</h3>" + "".join(_detail(number, each, number == chosen[0][0]) for number, each in chosen)


def _detail(number: int, opened: Opened, is_open: bool) -> str:
    worst = opened.found.worst
    assert worst is not None
    reasons = "".join(f"<p>{_safe(each)}</p>" for each in opened.found.reasons)
    caption = (
        f'<span class="key" style="background:var(--before)"></span> baseline '
        f'<span class="key" style="background:var(--psi)"></span> at the highest PSI of {_safe(ONE[worst.signal])}, '
        f"{worst.psi or 0:.2f}"
    )
    summary = f"#{number}: {_safe(opened.found.headline)}"
    return (
        f"<details{' open' if is_open else ''}><summary>{summary}</summary>{reasons}"
        f"<figure><figcaption>{caption}</figcaption>{bins_picture(worst)}</figure></details>"
    )


def _severity(opened: Opened) -> str:
    return f'<span class="severity {opened.incident.severity}">{opened.incident.severity}</span>'


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th{NUMBER if each in FIGURES else ''}>{each}</th>" for each in headings)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _figure(caption: str, picture: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{picture}</figure>"


def _safe(text: str) -> str:
    return escape(plain(text))

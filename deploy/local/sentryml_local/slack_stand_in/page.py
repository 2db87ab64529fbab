"""Messages as Slack shows them: Block Kit and mrkdwn to HTML for the page, and to plain text for the log.

Everything that came in is escaped first; markup is put around it afterwards, so nothing sent here can become
HTML of its own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sentryml_local.slack_stand_in.store import Request
from sentryml_local.slack_stand_in.workspace import Posted, Workspace

ANGLE = re.compile(r"<([^<>]+)>")
PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")
STYLES = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^\n*]+?)(?<=\S)\*(?![\w*])"), "strong"),
    (re.compile(r"(?<![\w_])_(?=\S)([^\n_]+?)(?<=\S)_(?![\w_])"), "em"),
    (re.compile(r"(?<![\w~])~(?=\S)([^\n~]+?)(?<=\S)~(?![\w~])"), "s"),
)
# The discs in front of our titles, drawn: a machine without an emoji font shows empty boxes for them.
DISCS = {"🔴": "#d92d20", "🟠": "#f79009", "🟢": "#2f9e5f", "⚪": "#98a2b3"}
SHOWN_MAX = 200
CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
COLOUR = re.compile(r"#?[0-9A-Fa-f]{6}")
NAMED_COLOURS = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def render_page(messages: Iterable[Request], workspace: Workspace) -> str:
    """The whole page, newest message last; of very many, the newest. Threads stand below their roots."""
    shown = [_shown(each.payload or {}, each.at, each.hook) for each in messages] + list(_conversations(workspace))
    shown.sort(key=lambda each: each["at"])
    said = sum(1 + len(each["replies"]) for each in shown)
    # An edit changes what is to be seen, and no count.
    version = said + sum(each.edits for each in workspace.messages)
    template = _templates.get_template("page.html")
    return template.render(messages=shown[-SHOWN_MAX:], count=said, hidden=len(shown) > SHOWN_MAX, version=version)


def _conversations(workspace: Workspace) -> Iterable[dict[str, Any]]:
    for channel in workspace.channels:
        for root in workspace.roots(channel):
            replies = [_posted(each) for each in workspace.replies(root)]
            yield {**_posted(root), "replies": replies}


def _posted(message: Posted) -> dict[str, Any]:
    at = datetime.fromtimestamp(float(message.ts), UTC)
    marks = {"edited": message.edits > 0, "broadcast": message.broadcast}
    return {**_shown(message.payload, at, message.channel), **marks}


def _shown(payload: Mapping[str, Any], at: datetime, hook: str) -> dict[str, Any]:
    blocks = _blocks(payload.get("blocks", []))
    return {
        "at": at,
        "hook": hook,
        "replies": [],
        "edited": False,
        "broadcast": False,
        # As in Slack: with blocks, `text` is only for the notification.
        "text": None if blocks else mrkdwn(str(payload.get("text", ""))),
        "notification": payload.get("text", ""),
        "blocks": blocks,
        "attachments": [_attachment(each) for each in payload.get("attachments", [])],
    }


def _with_discs(text: Markup) -> Markup:
    shown = str(text)
    for disc, colour in DISCS.items():
        shown = shown.replace(disc, f'<span class="disc" style="background:{colour}" title="{disc}"></span>')
    return Markup(shown)


def _attachment(attachment: Mapping[str, Any]) -> dict[str, Any]:
    colour = str(attachment.get("color", ""))
    fits = COLOUR.fullmatch(colour)
    return {
        "colour": f"#{colour.lstrip('#')}" if fits else NAMED_COLOURS.get(colour, "#dddddd"),
        "text": mrkdwn(str(attachment.get("text", ""))),
        "blocks": _blocks(attachment.get("blocks", [])),
    }


def _blocks(blocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "type": block.get("type", ""),
            "text": _with_discs(_text(block.get("text"))),
            "fields": [_text(each) for each in block.get("fields", [])],
            "elements": [_element(each) for each in block.get("elements", [])],
        }
        for block in blocks
    ]


def _element(element: Mapping[str, Any]) -> Markup:
    inner = element.get("text")
    return _text(inner) if isinstance(inner, Mapping) else _text(element)


def _text(text: Mapping[str, Any] | None) -> Markup:
    if text is None:
        return Markup("")
    content = str(text.get("text", ""))
    return mrkdwn(content) if text.get("type") == "mrkdwn" else Markup(html.escape(_unescape(content)))


def mrkdwn(text: str) -> Markup:
    """Slack's mrkdwn as HTML: links, dates, mentions, bold, italic, strike, code, lines."""
    kept: list[str] = []

    def keep(markup: str) -> str:
        kept.append(markup)
        return f"\ue000{len(kept) - 1}\ue001"

    text = text.replace("\ue000", "").replace("\ue001", "")
    text = CODE.sub(lambda match: keep(f"<code>{_escape(match[1] or match[2])}</code>"), text)
    text = ANGLE.sub(lambda match: keep(_angle(match[1])), text)
    text = _escape(text)
    for pattern, tag in STYLES:
        text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
    text = text.replace("\n", "<br>")
    return Markup(PLACEHOLDER.sub(lambda match: kept[int(match[1])], text))


def _angle(inside: str) -> str:
    """What is between < and >: a date, a mention or a link."""
    target, _, label = inside.partition("|")
    if target.startswith("!date^"):
        return f"<time>{_escape(_date(target) or label)}</time>"
    if target[0] in "!@#":
        return f'<span class="mention">@{_escape(label or target[1:])}</span>'
    if target.startswith(("https://", "http://", "mailto:")):
        return f'<a href="{_escape(target)}" rel="noreferrer">{_escape(label or target)}</a>'
    return _escape(f"<{inside}>")


def _date(target: str) -> str | None:
    """`!date^seconds^format` in UTC; Slack uses the reader's own zone."""
    parts = target.split("^")
    try:
        at = datetime.fromtimestamp(int(parts[1]), UTC)
    except (ValueError, IndexError, OverflowError, OSError):
        return None
    named = {"date_short_pretty": at.strftime("%-d %b %Y"), "date_short": at.strftime("%-d %b %Y")}
    named |= {"date_num": at.strftime("%Y-%m-%d"), "time": at.strftime("%H:%M"), "time_secs": at.strftime("%H:%M:%S")}
    form = parts[2] if len(parts) > 2 else "{date_num} {time}"
    return re.sub(r"\{(\w+)\}", lambda match: named.get(match[1], match[0]), form) + " UTC"


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _escape(text: str) -> str:
    return html.escape(_unescape(text))


def as_text(payload: Mapping[str, Any]) -> str:
    """A message as plain lines, for a terminal."""
    blocks = list(payload.get("blocks", []))
    for attachment in payload.get("attachments", []):
        blocks += attachment.get("blocks", [])
    lines = [_plain(part) for block in blocks for part in _parts(block)]
    return "\n".join(line for line in lines if line) or _plain(str(payload.get("text", "")))


def _parts(block: Mapping[str, Any]) -> list[str]:
    texts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
    found = [each for each in texts if isinstance(each, Mapping)]
    buttons = [f"[{each['text']['text']}]" for each in found if each.get("type") == "button"]
    return [str(each["text"]) for each in found if isinstance(each.get("text"), str)] + buttons


def _plain(text: str) -> str:
    def angle(match: re.Match[str]) -> str:
        target, _, label = match[1].partition("|")
        if target.startswith("!date^"):
            return label or target
        return f"{label}: {target}" if label else target

    return _unescape(ANGLE.sub(angle, text))

"""What the forms of a message share, whatever a channel's markup: signs and colours, the parts of a line, lengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sentryml_notifier.domain.message import Bars, Fact, Line, Link, Part, Tone

SIGNS = {Tone.CRITICAL: "🔴", Tone.WARN: "🟠", Tone.CALM: "🟢", Tone.NEUTRAL: "⚪"}
COLOURS = {Tone.CRITICAL: "#d92d20", Tone.WARN: "#f79009", Tone.CALM: "#2f9e5f", Tone.NEUTRAL: "#98a2b3"}
MORE = "…"


@dataclass(frozen=True, slots=True)
class Markup:
    """How a channel writes a text, a link by its label and address, a row of bars and a time."""

    text: Callable[[str], str]
    link: Callable[[str, str], str]
    bars: Callable[[str], str]
    moment: Callable[[datetime], str]

    def line(self, line: Line) -> str:
        return "".join(map(self._part, line))

    def lines(self, fact: Fact, bullet: str) -> list[str]:
        """The lines of a fact, with a bullet each where they are a list."""
        is_list = len(fact.lines) > 1 and not fact.picture
        return [f"{bullet if is_list else ''}{self.line(line)}" for line in fact.lines]

    def _part(self, part: Part) -> str:
        match part:
            case Link(label=label, url=url):
                return self.link(label, url)
            case Bars(text=text):
                return self.bars(text)
            case datetime():
                return self.moment(part)
        return self.text(part)


def is_web(url: str) -> bool:
    """Whether an address is one that people can follow."""
    return url.startswith(("https://", "http://"))


def markdown_link(label: str, url: str) -> str:
    """A link in Markdown, of which the label is Markdown already; the label alone where the address would break it."""
    return f"[{label}]({url})" if is_web(url) and not any(each in url for each in " ()<>\n") else label


def units(text: str) -> int:
    """Length in UTF-16 units, of which an emoji takes two or more: as Slack counts, and the most that Discord can."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(lines: list[str], longest: int, cut_first: Callable[[str, int], str] = lambda line, room: MORE) -> str:
    """As many whole lines as fit, in units, and a sign for the rest. `cut_first` is what becomes of a first line that
    is too long alone."""
    kept: list[str] = []
    room = longest - units(MORE) - 1
    for line in lines:
        if room < units(line) + 1:
            kept.append(MORE if kept else cut_first(line, room))
            break
        room -= units(line) + 1
        kept.append(line)
    return "\n".join(kept) or MORE

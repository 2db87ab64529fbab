"""What the command writes: tables and sentences for people, or JSON for programs.

Colour only where a terminal shows it (and never with NO_COLOR), and never alone: the word beside it says the same. With
`--json` standard output holds one JSON document, and everything for people goes to standard error.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from io import TextIOWrapper
from itertools import zip_longest
from typing import Any, TextIO

OK, FAILED, USAGE, UNREACHABLE, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit codes: all is well; something was refused or found wrong; wrong arguments; no answer; a dry run would change
something; Ctrl-C."""

COLOURS = {"critical": "31", "fail": "31", "warn": "33", "open": "33", "ok": "32", "resolved": "32"}


class Failed(Exception):
    """The command ends with a text that says what to do, and an exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class Terminal:
    """Where to write, and how."""

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._json, self._out, self._err = as_json, out or sys.stdout, err or sys.stderr
        self._people = self._err if as_json else self._out
        for stream in (self._out, self._err):  # where a character cannot be shown, another one is
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        self._progress = ""

    def result(self, document: Any) -> None:
        """The one JSON document, where that is requested."""
        if self._json:
            self._out.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")

    def say(self, text: str = "") -> None:
        """A line for people."""
        self._write(self._people, f"{text}\n")

    def warn(self, text: str) -> None:
        """A line about what went wrong."""
        self._write(self._err, f"{text}\n")

    def ask(self, question: str) -> bool:
        """Whether a person at the terminal says yes; the end of input is a no."""
        self._write(self._err, f"{question} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows in columns that line up."""
        cells = [[plain(cell) for cell in row] for row in (headings, *rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for number, row in enumerate(cells):
            line = self._line(row, widths)
            self._people.write((self._style("1", line) if number == 0 else line) + "\n")
        self._people.flush()

    def row(self, cells: Sequence[str], widths: Sequence[int]) -> None:
        """One more row, of a table that has no end; nothing where JSON is written."""
        if not self._json:
            self._people.write(self._line([plain(cell) for cell in cells], widths) + "\n")
            self._people.flush()

    def event(self, document: Any) -> None:
        """A JSON document in a line of its own, where that is requested."""
        if self._json:
            self._out.write(json.dumps(document, ensure_ascii=True) + "\n")
            self._out.flush()

    def progress(self, share: float, text: str) -> None:
        """A bar that stays in its line; nothing where no terminal shows it."""
        if not self._err.isatty():
            return
        full = round(20 * min(1.0, share))
        line = f"{'█' * full}{'░' * (20 - full)} {share:4.0%} {text}"
        self._clear()
        self._progress = line[: shutil.get_terminal_size().columns - 1]
        self._err.write(self._progress)
        self._err.flush()

    def _write(self, stream: TextIO, text: str) -> None:
        self._clear()
        stream.write(plain(text))
        stream.flush()

    def _clear(self) -> None:
        if self._progress:
            self._err.write("\r" + " " * len(self._progress) + "\r")
            self._progress = ""

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = zip_longest(cells, widths[: len(cells)], fillvalue=0)
        return "  ".join(self._coloured(str(cell), str(cell).ljust(int(width))) for cell, width in padded).rstrip()

    def _coloured(self, cell: str, padded: str) -> str:
        colour = COLOURS.get(cell.partition(" ")[0])
        return self._style(colour, padded) if colour else padded

    def _style(self, code: str, text: str) -> str:
        coloured = self._people.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return f"\x1b[{code}m{text}\x1b[0m" if coloured else text


def plain(text: str) -> str:
    """Text of others without what would move the cursor or turn the direction of writing."""
    return "".join("�" if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each != "\n" else each for each in text)

"""What happens, as it happens: the stream of the API, taken up again where it broke off."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from sentryml.command.api import no_answer, refused
from sentryml.connection import Answer, Connection, Unreachable
from sentryml.settings import API_KEY_NAMES, API_URL_NAMES, target

SILENT_SECONDS = 45.0
"""The server says something every 15 s."""
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.5, 30.0
LATER = (408, 425, 429, 500, 502, 503, 504)


class Stream:
    """Events for one follower."""

    def __init__(self, url: str | None, say: Callable[[str], None], **query: Iterable[str] | None) -> None:
        """`say` gets what is to be known beside the events: that they will come, or why none do."""
        self._target = target(url, url_names=API_URL_NAMES, key_names=API_KEY_NAMES)
        self._connection = Connection(self._target, SILENT_SECONDS)
        given = {name: list(values) for name, values in query.items() if values}
        self._path = f"/v1/stream?{urlencode(given, doseq=True)}"
        self._say = say
        self._last_id: str | None = None

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Kinds of events and their data, for ever.

        Raises:
            Failed: there is no answer at first, or the key is not allowed to follow.
        """
        delay = FIRST_DELAY_SECONDS
        while True:
            try:
                for event in self._connected():
                    delay = FIRST_DELAY_SECONDS
                    yield event
            except Unreachable as err:
                if self._last_id is None:
                    raise no_answer(self._target.url, err) from err
                self._say(f"The stream broke off ({err}); trying again")
            finally:
                self._connection.close()
            threading.Event().wait(delay)
            delay = min(LONGEST_DELAY_SECONDS, 2 * delay)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _connected(self) -> Iterator[tuple[str, dict[str, Any]]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        opened = self._connection.lines(self._path, headers)
        if isinstance(opened, Answer):
            if opened.status in LATER and self._last_id is not None:
                raise Unreachable(opened.detail())
            raise refused(self._target.url, opened)
        for fields in _blocks(opened):
            if self._last_id is None:
                self._say("Following: Ctrl-C ends it.")
            self._last_id = fields.get("id", self._last_id)
            if "data" in fields:
                yield fields.get("event", "message"), json.loads(fields["data"])


def _blocks(lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """The fields of each event; comments are skipped."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            yield fields
            fields = {}

"""One HTTP connection that is kept open: the client's, and the command's.

Proxies of the environment are not used. Certificates are checked against those of the system (`SSL_CERT_FILE`).
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from sentryml.settings import Target

ANSWER_BYTES_MAX = 16_000_000
VERSION = "0.1.0"
AGENT = f"sentryml-python/{VERSION}"
_of_parents: list[HTTPConnection] = []
"""What was open when a process was forked, in the child."""


class Unreachable(Exception):
    """No answer came; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def problem(self) -> dict[str, Any]:
        """The members of a problem (RFC 9457); none if it is something else."""
        found = self.json()
        return found if isinstance(found, dict) else {}

    def errors(self) -> list[dict[str, Any]]:
        """What a problem says is wrong, one by one: `field`, `reason` and, of several events, `index`."""
        errors = self.problem().get("errors")
        return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []

    def kind(self) -> str:
        """The last part of a problem's type."""
        return str(self.problem().get("type", "")).rpartition(":")[2]

    def detail(self) -> str:
        """What it says for people."""
        detail = self.problem().get("detail")
        return str(detail) if detail else f"HTTP {self.status}"

    def retry_after(self, now: float) -> float | None:
        """Seconds to wait, if it says so."""
        text = self.headers.get("Retry-After", "").strip()
        if not text:
            return None
        try:
            return (
                max(0.0, float(text)) if text.isdecimal() else max(0.0, parsedate_to_datetime(text).timestamp() - now)
            )
        except (ValueError, OverflowError):
            return None


class Connection:
    """Requests one after another, for one thread."""

    def __init__(self, target: Target, timeout: float) -> None:
        parts = urlsplit(target.url)
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {"Authorization": f"Bearer {target.key}", "User-Agent": AGENT, "Accept": "application/json"}
        self._timeout = timeout
        self._open: HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read its answer.

        Raises:
            Unreachable: none came.
        """
        kept_open = self._open is not None
        try:
            return self._request(method, path, body, headers)
        except (OSError, HTTPException) as err:
            self.close()
            if not kept_open or isinstance(err, TimeoutError):
                raise Unreachable(reason_of(err)) from err
        try:  # the server may close an idle connection at any time: that says nothing about the next one
            return self._request(method, path, body, headers)
        except (OSError, HTTPException) as err:
            self.close()
            raise Unreachable(reason_of(err)) from err

    def lines(self, path: str, headers: Mapping[str, str]) -> Answer | Iterator[str]:
        """The lines of an answer, as they come and until it ends; or the answer, where it is no success.

        Raises:
            Unreachable: none came, or nothing more for the time-out; also while lines are read.
        """
        self.close()
        try:
            self._open = self._connect()
            self._open.request("GET", self._path + path, None, {**self._headers, **headers})
            response = self._open.getresponse()
            if response.status != 200:
                return Answer(response.status, response.headers, response.read(ANSWER_BYTES_MAX))
        except (OSError, HTTPException) as err:
            self.close()
            raise Unreachable(reason_of(err)) from err
        return _lines(response)

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None) -> Answer:
        if self._open is None:
            self._open = self._connect()
        self._open.request(method, self._path + path, body, {**self._headers, **(headers or {})})
        response = self._open.getresponse()
        content = response.read(ANSWER_BYTES_MAX)
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, response.headers, content)

    def _connect(self) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self._host, self._port, timeout=self._timeout)
        return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)

    def leave_to_parent(self) -> None:
        """In a forked child: give up its part of it. A thread that was reading has left its locks for good, so
        nothing of it is closed, or collected, which closes too."""
        if self._open is None:
            return
        with suppress(OSError):
            if self._open.sock is not None:
                os.close(self._open.sock.detach())
        _of_parents.append(self._open)
        self._open = None

    def close(self) -> None:
        """Close it; the next request opens another one."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _lines(response: HTTPResponse) -> Iterator[str]:
    try:
        while raw := response.readline(ANSWER_BYTES_MAX):
            yield raw.decode(errors="replace").rstrip("\r\n")
    except (OSError, HTTPException) as err:
        raise Unreachable(reason_of(err)) from err


def reason_of(err: object) -> str:
    """What an error says, or else its kind."""
    return str(err) or type(err).__name__

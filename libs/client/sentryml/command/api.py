"""The API of incidents, as the command uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode

from sentryml.command.terminal import UNREACHABLE, Failed
from sentryml.connection import Answer, Connection, Unreachable
from sentryml.settings import API_KEY_NAMES, API_URL_NAMES, Target, target

TIMEOUT_SECONDS = 30.0


class Refused(Failed):
    """An answer that says no; `kind` is the last part of its type."""

    def __init__(self, text: str, answer: Answer) -> None:
        super().__init__(text)
        self.status, self.kind, self.errors = answer.status, answer.kind(), answer.errors()
        """What is wrong with each field (`field`, `reason`)."""


class Api:
    """Requests that end the command with a text where they fail, over a connection that `with` closes."""

    def __init__(self, url: str | None) -> None:
        self._target: Target = target(url, url_names=API_URL_NAMES, key_names=API_KEY_NAMES)
        self._connection = Connection(self._target, TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Any:
        """The answer's JSON."""
        return self._json(self._request("GET", path, None))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer's JSON."""
        return self._json(self._request("POST", path, json.dumps(body).encode()))

    def put(self, path: str, body: dict[str, Any], if_match: str | None = None) -> Any:
        """The answer's JSON."""
        headers = {"If-Match": if_match} if if_match else {}
        return self._json(self._request("PUT", path, json.dumps(body).encode(), headers))

    def items(self, path: str, most: int, **query: Any) -> Iterator[dict[str, Any]]:
        """The first items of a list, over all its pages."""
        given = {name: value for name, value in query.items() if value}
        while most > 0:
            page = self.get(f"{path}?{urlencode({**given, 'limit': min(most, 200)}, doseq=True)}")
            yield from page["items"][:most]
            most -= len(page["items"])
            if not page.get("next_cursor"):
                return
            given["cursor"] = page["next_cursor"]

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] = {}) -> Answer:
        try:
            content = {"Content-Type": "application/json"} if body else {}
            return self._connection.request(method, path, body, {**content, **headers})
        except Unreachable as err:
            raise no_answer(self._target.url, err) from err

    def _json(self, answer: Answer) -> Any:
        found = answer.json()
        if answer.status >= 300 or not isinstance(found, dict):
            raise refused(self._target.url, answer)
        return found


def model_path(model_id: str, part: str) -> str:
    """The path of what belongs to a model: `monitor`, `reference`."""
    return f"/v1/models/{quote(model_id, safe='')}/{part}"


def no_answer(url: str, err: Unreachable) -> Failed:
    """What to raise where none comes."""
    return Failed(f"{url} does not answer ({err}): check {API_URL_NAMES[0]}, or run: sentryml doctor", UNREACHABLE)


def refused(url: str, answer: Answer) -> Refused:
    """What to raise for an answer that says no."""
    return Refused(f"{url} answered {answer.status}: {answer.detail()}{_advice(answer.status, answer.json())}", answer)


def _advice(status: int, body: Any) -> str:
    if status in (401, 403):
        return "; run: sentryml doctor"
    if not isinstance(body, dict) or (status == 404 and str(body.get("type", "")).endswith(":not-found")):
        return f"; is this the address of incidents? Set {API_URL_NAMES[0]}"
    return ""

"""Hard values in every place of every request that a service's OpenAPI describes: beside what schemathesis makes up.

A value is put into one place at a time of a request that is right otherwise, so that nothing refuses it before that
place is looked at. New routes are covered by being described.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "a\udfffb", "\u202eabc", "\x1b[31m", "é", "\U0001f525", "a" * 10_000, "../..",
    "%00", "{}", "https://xn--/", "https://xn--a/services/T/B/x", "https://[", "https://[::1", "https://a:99999/",
    "https://\u202e/", "http://\u3002/", "https://hooks.slack.com\\@a/", "xoxb-é", "xoxb-a\nb", "xapp-\u2028",
    "ntfys://[", "whsec_é", "C\u0660", "1e999", "NaN",
)  # fmt: skip
TIMES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-23T00:00:00", "1e10", "0",
    "2026-11-23T00:00:00+99:99",
)  # fmt: skip
INTEGERS = (-1, 0, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 10**400)
OTHERS: tuple[Any, ...] = (None, True, 0.5, 1e308, [], {}, [[]], {"": None})


@dataclass(frozen=True)
class Asked:
    """One request: its body is sent as JSON, half surrogates and all. `what` says which value is where."""

    method: str
    path: str
    what: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, bytes] = field(default_factory=dict)
    body: bytes | None = None


def hard_requests(
    openapi: Mapping[str, Any], ids: Mapping[str, str], bodies: Mapping[str, list[Any]], cursors: Mapping[str, str]
) -> Iterator[Asked]:
    """Every hard value in every place: `ids` are values of path parameters by name, `bodies` right bodies by
    `METHOD path`, `cursors` a real cursor by path. Each route that takes a body or a cursor has to be among them."""
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            known = {each["name"]: each["in"] for each in operation.get("parameters", [])}
            url = path.format(**{name: ids[name] for name, where in known.items() if where == "path"})
            for name, where in known.items():
                if where == "query":
                    yield from _in_query(method.upper(), url, name, cursors.get(path))
                elif where == "header":
                    for text in ("", "*", '"', 'W/"1"', '"é"', '"\x7f"', "1" * 5000):
                        yield Asked(method.upper(), url, f"{name}={text!r}", headers={name: text.encode()})
            if "requestBody" in operation:
                for right in bodies[f"{method.upper()} {path}"]:
                    yield from _in_body(method.upper(), url, right)


def _in_query(method: str, url: str, name: str, cursor: str | None) -> Iterator[Asked]:
    texts = [*TEXTS, *TIMES, *map(str, INTEGERS)]
    if name == "cursor":
        assert cursor is not None, f"{url} takes a cursor: give a real one"
        position = json.loads(base64.urlsafe_b64decode(cursor + "==="))
        texts += [_cursor_of(wrong) for _, wrong in with_each(position)]
        texts += [_cursor_of(value) for value in (*INTEGERS, *OTHERS, *TEXTS)]
    for text in texts:
        if "\ud800" <= max(text, default="") <= "\udfff":
            continue  # a URL cannot carry it
        yield Asked(method, url, f"{name}={text!r}", query={name: text})


def _cursor_of(position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _in_body(method: str, url: str, right: Any) -> Iterator[Asked]:
    for place, wrong in with_each(right):
        yield Asked(method, url, place, body=json.dumps(wrong).encode())
    for raw in (b"", b"{", b"null", b"[]", b'"a"', b"\xff", b"[" * 5000, b'{"a":' * 5000, b'{"name": NaN}'):
        yield Asked(method, url, repr(raw[:20]), body=raw)


def with_each(right: Any) -> Iterator[tuple[str, Any]]:
    """Copies of a JSON value, each with one hard value in one place: instead of a value, or as the name of a field."""
    for place in _places(right, ()):
        for value in (*TEXTS, *TIMES, *INTEGERS, *OTHERS):
            yield f"{place} = {value!r:.60}", _replaced(right, place, value)
    if isinstance(right, dict):
        for text in TEXTS:
            yield f"field {text!r:.60}", {**right, text: 1}


def _places(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield from _places(each, (*place, name))


def _replaced(right: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(right)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return changed


async def check_answers(client: httpx.AsyncClient, requests: Iterable[Asked]) -> None:
    """Each of over a thousand requests is answered: without a defect, and where it is refused as a problem."""
    asked, defects = 0, []
    for each in requests:
        given = {"Content-Type": b"application/json", **each.headers}
        headers = [(name.encode(), value) for name, value in given.items()]
        try:
            answer = await client.request(each.method, each.path, params=each.query, headers=headers, content=each.body)
        except Exception as err:  # the server would answer 500
            defects.append((each.method, each.path, each.what, repr(err)[:200]))
            continue
        assert answer.status_code < 500, each
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json", each
        asked += 1
    assert defects == []
    assert asked > 1_000


def doubled_fields(right: Any) -> Iterator[tuple[str, bytes]]:
    """A JSON object as bytes, once for each field of it, inner ones too, with that field given twice; and its name."""
    whole = json.dumps(right)
    for place in _places(right, ()):
        if isinstance(place[-1], str):
            marked = json.dumps(_replaced(right, place, {"twice": place[-1]}))
            mark = json.dumps({"twice": place[-1]})
            value = json.dumps(_value_at(right, place))
            assert mark in marked, whole
            yield place[-1], marked.replace(mark, f"{value}, {json.dumps(place[-1])}: {value}").encode()


def _value_at(right: Any, place: tuple[Any, ...]) -> Any:
    for name in place:
        right = right[name]
    return right

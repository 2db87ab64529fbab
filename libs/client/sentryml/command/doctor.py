"""`sentryml doctor`: is everything reached, what may the keys do, is the clock right; and what to do where not."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from sentryml.command.terminal import FAILED, OK, Terminal
from sentryml.connection import Answer, Connection, Unreachable
from sentryml.settings import API_KEY_NAMES, API_URL_NAMES, KEY_NAMES, URL_NAMES, NotConfigured, target

TIMEOUT_SECONDS = 10.0
CLOCK_WARN_SECONDS, CLOCK_FAIL_SECONDS = 5.0, 300.0
"""Ingest refuses what is five minutes ahead."""
NOBODYS_INCIDENT = "/v1/incidents/00000000-0000-0000-0000-000000000000/acknowledge"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; `do` says what to do about it."""

    check: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class _Service:
    """What is checked: its variables, what it means that they are not set, and what its key may do."""

    name: str
    url_names: tuple[str, ...]
    key_names: tuple[str, ...]
    not_configured: tuple[Literal["warn", "fail"], str]
    check_key: Callable[[Connection], Finding]

    def check(self, url: str | None) -> Iterator[Finding]:
        """Check all of it."""
        try:
            where = target(url, url_names=self.url_names, key_names=self.key_names)
        except NotConfigured as err:
            yield Finding(self.name, *self.not_configured, str(err))
            return
        with closing(Connection(where, TIMEOUT_SECONDS)) as connection:
            try:
                yield from _reached(self.name, where.url, connection, self.url_names)
                yield self.check_key(connection)
            except Unreachable as err:
                do = f"is it running, and is {' or '.join(self.url_names)} right? Is a firewall or TLS between?"
                yield Finding(self.name, "fail", f"{where.url} does not answer: {err}", do)


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Check everything."""
    services = [INGEST] if arguments.ingest_only else [INGEST, INCIDENTS]
    found = [finding for service in services for finding in service.check(arguments.url)]
    terminal.result([asdict(each) for each in found])
    terminal.table(("", "check", "found"), [(each.state, each.check, each.detail) for each in found])
    for each in found:
        if each.do:
            terminal.say(f"{each.check}: {each.do}")
    return FAILED if any(each.state == "fail" for each in found) else OK


def _reached(service: str, url: str, connection: Connection, names: tuple[str, ...]) -> Iterator[Finding]:
    before = time.time()
    answer = connection.request("GET", "/readyz")
    took = time.time() - before
    waiting = answer.problem().get("waiting_for") or {}
    if answer.status == 200:
        yield Finding(service, "ok", f"{url} is ready ({took * 1000:.0f} ms)")
    elif isinstance(waiting, dict) and waiting:
        named = "; ".join(f"{name}: {reason}" for name, reason in waiting.items())
        yield Finding(service, "warn", f"{url} is not ready: {named}", "start what it waits for, or wait")
    elif answer.status == 404:
        yield Finding(service, "ok", f"{url} answers; /readyz is not public ({took * 1000:.0f} ms)")
    else:
        yield Finding(service, "fail", f"{url} answered {answer.status}", f"check {' or '.join(names)}")
    yield _clock(service, answer, before + took / 2)


def _clock(service: str, answer: Answer, now: float) -> Finding:
    """The Date of an answer is cut to whole seconds, so it is half a second behind on average."""
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
    except (KeyError, TypeError, ValueError):
        return Finding(f"clock ({service})", "warn", "the answer has no Date: the clocks could not be compared")
    ahead = now - theirs
    side = "ahead of" if ahead > 0 else "behind"
    detail = f"this clock is {abs(ahead):.0f} s {side} the server's" if abs(ahead) >= 1 else "within a second"
    do = "set this machine's clock (NTP): events carry its time, and more than 5 minutes ahead they are refused"
    if abs(ahead) < CLOCK_WARN_SECONDS:
        return Finding(f"clock ({service})", "ok", detail)
    return Finding(f"clock ({service})", "fail" if abs(ahead) > CLOCK_FAIL_SECONDS else "warn", detail, do)


def _events_key(connection: Connection) -> Finding:
    """An empty array is refused, but only after the key."""
    answer = connection.request("POST", "/v1/events", b"[]", {"Content-Type": "application/json"})
    check = "key for events"
    if answer.kind() == "no-events":
        return Finding(check, "ok", "may send events (events:write)")
    if answer.status == 401:
        return Finding(check, "fail", "unknown, expired or revoked", f"set {' or '.join(KEY_NAMES)} to a valid key")
    if answer.status == 403:
        return Finding(check, "fail", "lacks the scope events:write", "use a key with this scope (docs/keys.md)")
    if answer.status in (429, 503):
        return Finding(check, "warn", answer.detail(), "try again later")
    return Finding(check, "fail", f"POST /v1/events answered {answer.status}", "is this the address of ingest?")


def _api_key(connection: Connection) -> Finding:
    check, requests = "key for the API", {
        "read": ("GET", "/v1/models?limit=1", None),
        "write": ("POST", NOBODYS_INCIDENT, b"{}"),
        "admin": ("GET", "/v1/api-keys?limit=1", None),
    }  # fmt: skip
    scopes, answer = [], None
    for scope, (method, path, body) in requests.items():
        answer = connection.request(method, path, body, {"Content-Type": "application/json"} if body else None)
        if answer.status == 401:
            return Finding(check, "fail", "unknown, expired or revoked", f"set {' or '.join(API_KEY_NAMES)}")
        if answer.status == 403:
            break
        if answer.status >= 300 and answer.kind() != "unknown-incident":
            return Finding(check, "fail", f"{path} answered {answer.status}: {answer.detail()}", "is this incidents?")
        scopes.append(scope)
    if not scopes:
        do = "sending works without it; for `models` and `incidents` use a key with the scope read, or write"
        return Finding(check, "warn", "has none of the scopes read, write, admin", do)
    return Finding(check, "ok", f"has the scopes {', '.join(scopes)}")


INGEST = _Service("ingest", URL_NAMES, KEY_NAMES, ("fail", "not configured"), _events_key)
INCIDENTS = _Service(
    "incidents", API_URL_NAMES, API_KEY_NAMES, ("warn", "not configured: only sending works"), _api_key
)

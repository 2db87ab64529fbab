"""`sentryml models`, `incidents` and `doctor`: what they ask for, show and end with."""

from __future__ import annotations

import json
import time
from io import BytesIO, TextIOWrapper
from types import SimpleNamespace
from typing import Any

import pytest

from sentryml.command.__main__ import main
from sentryml.command.terminal import Terminal, plain
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, problem

INCIDENT: dict[str, Any] = {
    "incident_id": "b6adcd7e-af2f-5ff4-8e48-fc82f236c3e4", "incident_number": 17, "model_id": "fraud", "state": "open",
    "severity": "critical", "opened_at": "2026-11-23T09:15:00Z", "psi": 0.31, "allowed": ["acknowledge", "note"],
    "incident_url": "https://sentryml.example/incidents/17",
}  # fmt: skip
MODEL: dict[str, Any] = {
    "model_id": "fraud", "level": "critical", "reason": None, "psi": 0.3142, "last_seen": "2026-11-23T09:19:58.5Z",
    "enabled": True, "incident": INCIDENT,
}  # fmt: skip
STEP = {
    "at": "2026-11-23T09:15:00Z", "kind": "opened", "actor": {"name": "SentryML"}, "note": "see \u202eevil\x1b[31m",
    "text": {"headline": "The predictions no longer look like the baseline.", "next": ["It resolves by itself."]},
}  # fmt: skip
WARMING = {
    **MODEL,
    "model_id": "new",
    "level": "insufficient_data",
    "reason": "warming_up",
    "psi": None,
    "incident": None,
}


@pytest.fixture(autouse=True)
def _environment(ingest: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_URL", ingest.url)
    monkeypatch.setenv("SENTRYML_API_KEY", KEY)
    ingest.answering = answering


def answering(request: Received) -> Reply:  # noqa: PLR0911
    """As SentryML does."""
    path, _, query = request.path.partition("?")
    if path == "/v1/models":
        items, cursor = ([MODEL], "2") if "cursor" not in query else ([WARMING], None)
        return Reply(200, {"items": items, "next_cursor": cursor})
    if path == "/v1/incidents":
        return Reply(200, {"items": [INCIDENT] if "state=open" in query else [], "next_cursor": None})
    if path.endswith("/timeline"):
        return Reply(200, {"items": [STEP], "next_cursor": None})
    if path == "/v1/incidents/17/acknowledge":
        return Reply(200, {**INCIDENT, "state": "acknowledged"})
    if path == "/v1/incidents/17":
        return Reply(200, INCIDENT)
    if path == "/readyz":
        return Reply(200, {})
    if path == "/v1/events":
        return problem(422, "no-events", errors=[])
    return Reply(200, {"items": []}) if path == "/v1/api-keys" else problem(404, "unknown-incident", "no such incident")


def test_models_are_listed_over_all_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("  ")[0] == "fraud"
    assert all(part in lines[1] for part in ("critical", "0.314", "2026-11-23T09:19:58Z", "open #17 (critical)"))
    assert "insufficient data (warming up)" in lines[2]


def test_json_is_what_the_api_has_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [MODEL, WARMING]


@pytest.mark.parametrize("arguments", [["incidents"], ["incidents", "list"], ["incidents", "--model=fraud"]])
def test_incidents_are_the_live_ones(ingest: StandIn, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 0
    assert "#17" in capsys.readouterr().out
    assert "state=open&state=acknowledged" in ingest.received[0].path


def test_that_there_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidents", "list", "--all"]) == 0
    assert capsys.readouterr().out == "No incident.\n"


def test_one_is_shown_with_its_timeline_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidents", "show", "#17"]) == 0
    said = capsys.readouterr().out
    assert "The predictions no longer look like the baseline." in said
    assert "It resolves by itself." in said
    assert "see �evil�[31m" in said
    assert "https://sentryml.example/incidents/17" in said


def test_one_is_acknowledged_with_a_note(ingest: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidents", "ack", "17", "--note", "on it"]) == 0
    assert (ingest.received[0].path, ingest.received[0].body) == ("/v1/incidents/17/acknowledge", {"note": "on it"})
    assert "Incident 17 is acknowledged" in capsys.readouterr().out


def test_several_are_acted_on_and_what_is_refused_of_one_stops_no_other(
    ingest: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["incidents", "ack", "99", "#17", "--json"]) == 1
    said = capsys.readouterr()
    assert [each["incident_number"] for each in json.loads(said.out)] == [17]
    assert "no such incident" in said.err
    assert [each.path for each in ingest.received] == [f"/v1/incidents/{each}/acknowledge" for each in (99, 17)]


def test_what_is_unknown_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incidents", "show", "99"]) == 1
    assert "404: no such incident" in capsys.readouterr().err


def test_without_an_answer_or_an_address_the_exit_code_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["models", "--url=http://127.0.0.1:1"]) == 3
    monkeypatch.delenv("SENTRYML_URL")
    assert main(["models"]) == 2
    assert "SENTRYML_INCIDENTS_URL" in capsys.readouterr().err


def test_the_doctor_finds_nothing_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "may send events" in said
    assert "has the scopes read, write, admin" in said
    assert "fail" not in said


def doctor(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json"])
    return code, {each["check"]: each for each in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("path", "reply", "check", "state", "do"),
    [
        ("/v1/events", problem(401, "unauthorized"), "key for events", "fail", "set SENTRYML_API_KEY"),
        ("/v1/events", problem(403, "forbidden"), "key for events", "fail", "docs/keys.md"),
        ("/v1/events", problem(404, "not-found"), "key for events", "fail", "is this the address of ingest?"),
        ("/v1/models", problem(403, "forbidden"), "key for the API", "warn", "scope read"),
        ("/v1/models", problem(401, "unauthorized"), "key for the API", "fail", "set SENTRYML_ADMIN_KEY"),
        ("/v1/api-keys", problem(403, "forbidden"), "key for the API", "ok", ""),
        ("/readyz", Reply(503, {"waiting_for": {"kafka": "no broker"}}), "ingest", "warn", "start what it waits for"),
        ("/readyz", Reply(502, "<html>"), "ingest", "fail", "check SENTRYML_URL"),
    ],
)
def test_the_doctor_says_what_to_do(
    ingest: StandIn, capsys: pytest.CaptureFixture[str], path: str, reply: Reply, check: str, state: str, do: str
) -> None:
    ingest.answering = lambda request: reply if request.path.startswith(path) else answering(request)
    code, found = doctor(capsys)
    assert (found[check]["state"], code) == (state, 1 if state == "fail" else 0)
    assert do in found[check]["do"]


@pytest.mark.parametrize(("ahead", "state"), [(0, "ok"), (60, "warn"), (-3_600, "fail"), (3_600, "fail")])
def test_the_doctor_compares_the_clocks(
    ingest: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ahead: float, state: str
) -> None:
    monkeypatch.setattr("sentryml.command.doctor.time", SimpleNamespace(time=lambda: time.time() + ahead))
    code, found = doctor(capsys)
    assert (found["clock (ingest)"]["state"], code) == (state, 1 if state == "fail" else 0)


def test_where_nothing_listens_the_doctor_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTRYML_URL", "http://127.0.0.1:1")
    code, found = doctor(capsys)
    assert (code, found["ingest"]["state"], found["incidents"]["state"]) == (1, "fail", "fail")
    assert KEY not in json.dumps(found)


def test_a_terminal_has_colour_unless_it_is_not_liked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["models"])
    assert "\x1b[31mcritical" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["models"])
    assert "\x1b" not in capsys.readouterr().out


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("sentryml 0.")


def test_a_terminal_without_unicode_shows_what_it_can() -> None:
    written = BytesIO()
    terminal = Terminal(out=TextIOWrapper(written, encoding="ascii"))
    terminal.say("1 → 2")
    assert written.getvalue() == b"1 ? 2\n"


def test_text_of_others_moves_no_cursor() -> None:
    assert plain("a\x1b[2J\u202eb\ud800\nc") == "a�[2J�b�\nc"

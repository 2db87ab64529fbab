"""`sentryml tail` and `incidents follow`: what is shown, and how a broken stream is taken up again."""

from __future__ import annotations

import json

import pytest

from sentryml.command.__main__ import main
from tests.support.ingest_stand_in import KEY, Reply, StandIn, problem

STEP = {
    "kind": "opened", "at": "2026-11-23T09:15:00Z", "model_id": "fraud", "incident_number": 17, "note": None,
    "to": {"state": "open", "severity": "critical"}, "text": {"headline": "No longer like\u202e the baseline."},
}  # fmt: skip
LOOK = {"model_id": "fraud", "evaluated_at": "2026-11-23T09:20:00Z", "level": "warn", "reason": None, "psi": 0.1234}
GREETING = ": following\nid: 41\nretry: 2000\n\n"
GONE = problem(401, "unauthorized", "the key was revoked")


@pytest.fixture(autouse=True)
def _environment(ingest: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_URL", ingest.url)
    monkeypatch.setenv("SENTRYML_API_KEY", KEY)
    monkeypatch.setattr("sentryml.command.stream.FIRST_DELAY_SECONDS", 0.001)


def events(*of: tuple[str, object], number: int = 42) -> Reply:
    body = "".join(f"event: {kind}\ndata: {json.dumps(data)}\nid: {number}\n\n" for kind, data in of)
    return Reply(200, (GREETING + body).encode())


def test_each_event_is_a_line(ingest: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    new = {"model_id": "churn", "first_seen": "2026-11-23T09:21:00Z"}
    ingest.replies.extend([events(("transition", STEP), ("evaluation", LOOK), ("model", new)), GONE])
    assert main(["tail", "--model=fraud", "--model=churn"]) == 1
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0][:4] == ["2026-11-23T09:15:00Z", "fraud", "critical", "#17"]
    assert "\u202e" not in said.out
    assert lines[1] == ["2026-11-23T09:20:00Z", "fraud", "warn", "0.123"]
    assert lines[2] == ["2026-11-23T09:21:00Z", "churn", "new", "model"]
    assert "the key was revoked" in said.err
    assert ingest.received[0].path == ("/v1/stream?kind=transition&kind=evaluation&kind=model&model=fraud&model=churn")


def test_it_goes_on_after_the_last_event_it_got(ingest: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    ingest.replies.extend(
        [
            events(("transition", STEP), number=42),
            Reply(close=True),
            problem(503, "unavailable", "starting"),
            Reply(200, GREETING.replace("41", "57").encode()),
            GONE,
        ]
    )
    assert main(["incidents", "follow", "--json"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line) for line in said.out.splitlines()] == [{**STEP, "event": "transition", "kind": "opened"}]
    assert [each.headers.get("last-event-id") for each in ingest.received] == [None, "42", "42", "42", "57"]
    assert said.err.count("trying again") == 2


def test_without_an_answer_at_first_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "--url=http://127.0.0.1:1"]) == 3
    assert "run: sentryml doctor" in capsys.readouterr().err

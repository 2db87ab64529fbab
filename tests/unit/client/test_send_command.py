"""`sentryml send FILE`: what is read as what, what is sent, and where it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sentryml.command.sending.upload
from sentryml.command.__main__ import main
from tests.support.ingest_stand_in import KEY, Received, Reply, StandIn, problem

NOW = 1_763_888_100.0
HEADER = "ts,predicted_label,probability,country\n"


@pytest.fixture(autouse=True)
def _environment(ingest: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRYML_URL", ingest.url)
    monkeypatch.setenv("SENTRYML_API_KEY", KEY)
    monkeypatch.setattr("sentryml.command.sending.upload.FIRST_DELAY_SECONDS", 0.001)
    monkeypatch.setattr("sentryml.command.sending.send.time", SimpleNamespace(time=lambda: NOW))


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file."""

    def write_file(text: str | bytes, name: str = "predictions.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def rows(count: int, first: int = 0) -> str:
    return "".join(f"{NOW - 1000 + number},label {number},0.5,eu\n" for number in range(first, first + count))


def sent(ingest: StandIn) -> list[Any]:
    return [event["prediction"] for event in ingest.events()]


def test_columns_are_found_by_their_usual_names_and_shown(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(HEADER + '1763888100,"no, thanks",0.25,eu\n2025-11-23T09:55:01Z,legit,,de\n')
    assert main(["send", str(path), "--model", "fraud"]) == 0
    assert ingest.events() == [
        {"model_id": "fraud", "prediction": "no, thanks", "score": 0.25, "timestamp": 1763888100},
        {"model_id": "fraud", "prediction": "legit", "timestamp": 1763891701},
    ]
    said = capsys.readouterr().out
    assert "predicted_label (text)" in said
    assert "not sent: country" in said
    assert "2 events accepted." in said


def test_columns_can_be_named(ingest: StandIn, write: Write) -> None:
    path = write("who;when;what;v\nfraud;1763888100;1;2.3\n")
    named = ["model_id=who", "timestamp=when", "prediction=what", "version=v"]
    assert main(["send", str(path), *(f"--column={each}" for each in named)]) == 0
    assert ingest.events() == [{"model_id": "fraud", "prediction": 1, "timestamp": 1763888100, "version": "2.3"}]


def test_json_lines_are_sent_as_they_are(ingest: StandIn, write: Write) -> None:
    events = [
        {"model_id": "fraud", "prediction": True, "timestamp": 1763888100},
        {"model_id": "churn", "prediction": 0.5, "score": None, "age": 7},
    ]
    path = write("\n\n".join(map(json.dumps, events)), "predictions.ndjson")
    assert main(["send", str(path)]) == 0
    assert ingest.events() == [events[0], {"model_id": "churn", "prediction": 0.5}]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["0", "1.5"], None, [0, 1.5]), (["true", "False"], None, [True, False]), (["0", "x"], None, ["0", "x"]),
        (["0", "1"], "text", ["0", "1"]),
    ],
)  # fmt: skip
def test_predictions_are_numbers_where_all_are(
    ingest: StandIn, write: Write, cells: list[str], kind: str | None, values: list[Any]
) -> None:
    path = write("prediction\n" + "\n".join(cells) + "\n")
    assert main(["send", str(path), "--model=fraud", *([f"--prediction-as={kind}"] if kind else [])]) == 0
    assert sent(ingest) == values


@pytest.mark.parametrize(
    ("time", "options", "seconds"),
    [
        ("2025-11-23T09:55:00+01:00", [], 1763888100),
        ("1763888100.5", [], 1763888100.5), ("1763888100500", [], 1763888100.5),
        ("2025-11-23 08:55:00", ["--time-zone=UTC"], 1763888100),
        ("2025-11-23 09:55:00", ["--time-zone=Europe/Berlin"], 1763888100),
    ],
)  # fmt: skip
def test_times_are_read_in_the_usual_forms(
    ingest: StandIn, write: Write, time: str, options: list[str], seconds: float
) -> None:
    assert main(["send", str(write(f"prediction,timestamp\n1,{time}\n")), "--model=fraud", *options]) == 0
    assert [event["timestamp"] for event in ingest.events()] == [seconds]


@pytest.mark.parametrize(
    ("text", "options", "code", "says"),
    [
        ("a,b\n1,2\n", ["--model=m"], 2, "no column looks like the prediction"),
        ("prediction\n1\n", [], 2, "which model made these?"),
        ("prediction\n1\n", ["--model=m", "--column=prediction=x"], 2, "no such column; there are: prediction"),
        ("prediction\n1\n", ["--model=m", "--column=age=prediction"], 2, "say FIELD=NAME"),
        ("prediction\n", ["--model=m"], 1, "has no rows"),
        ("", ["--model=m"], 1, "is empty"),
        ("prediction,score\n1\n", ["--model=m"], 1, "line 2: has 1 fields, the header 2"),
        ("prediction,time\n1,2025-11-23 09:55\n", ["--model=m"], 1, "has no offset: say which time it is"),
        ("prediction,time\n1,yesterday\n", ["--model=m"], 1, "is neither RFC 3339 nor epoch seconds"),
        ("prediction,score\n1,high\n", ["--model=m"], 1, "line 2: score 'high' is no finite number"),
        ("prediction\n\xff\n".encode("latin-1"), ["--model=m"], 1, "line 2 is not UTF-8"),
        ("prediction\n1\n", ["--model=m", "--time-zone=Mars/Base"], 2, "there is no such time zone"),
        ('{"model_id": "m", "prediction": 1}\nx\n', [], 1, "line 2: is no JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_said_with_what_to_do(
    ingest: StandIn,
    write: Write,
    capsys: pytest.CaptureFixture[str],
    text: Any,
    options: list[str],
    code: int,
    says: str,
) -> None:
    assert main(["send", str(write(text)), *options]) == code
    assert says in capsys.readouterr().err
    assert not ingest.events()


def test_wrong_arguments_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["send", "x", "--batch=0"])
    assert "say a number from 1 to 5,000" in capsys.readouterr().err


def test_a_dry_run_reads_all_and_sends_nothing(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(HEADER + rows(20) + "never,x,0.5,eu\n")
    assert main(["send", str(path), "--model=fraud", "--dry-run", "--json"]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["events"], found["bad_rows"], found["first"]["prediction"]) == (20, 1, "label 0")
    assert "line 22: timestamp 'never'" in captured.err
    assert not ingest.received


def test_a_run_that_was_stopped_goes_on_after_the_last_accepted_batch(ingest: StandIn, write: Write) -> None:
    path = write(HEADER + rows(95))
    answers = [Reply(202), Reply(202), *[problem(503, "unavailable")] * 99]
    ingest.replies.extend(answers)
    assert main(["send", str(path), "--model=fraud", "--batch=10"]) == 3
    assert len(sent(ingest)) == 20
    ingest.replies.clear()
    assert main(["send", str(path), "--model=fraud", "--batch=10"]) == 0
    assert sent(ingest) == [f"label {number}" for number in range(95)]
    keys = [request.headers["idempotency-key"] for request in ingest.received]
    assert keys[2] == keys[10], "the batch without an answer is repeated with its key"
    assert len(set(keys)) == 10


def test_a_file_whose_state_was_removed_is_sent_as_another_one(ingest: StandIn, write: Write) -> None:
    path = write(HEADER + rows(5))
    for _ in range(2):
        assert main(["send", str(path), "--model=fraud"]) == 0
        path.with_name(path.name + ".sentryml").unlink()
    first, second = [request.headers["idempotency-key"] for request in ingest.received]
    assert first != second, "else ingest would take it for a retry"


def test_what_was_named_wrongly_at_first_needs_no_removal_of_the_state(ingest: StandIn, write: Write) -> None:
    path = write(HEADER + rows(5))
    ingest.replies.append(problem(403, "forbidden"))
    assert main(["send", str(path), "--model=other"]) == 1
    assert main(["send", str(path), "--model=fraud"]) == 0
    assert sent(ingest)[-5:] == [f"label {number}" for number in range(5)]


def test_a_third_run_sends_nothing_and_a_longer_file_only_its_new_rows(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(HEADER + rows(5))
    for _ in range(2):
        assert main(["send", str(path), "--model=fraud"]) == 0
    assert "All of it was sent already" in capsys.readouterr().out
    write(HEADER + rows(8))
    assert main(["send", str(path), "--model=fraud"]) == 0
    assert sent(ingest) == [f"label {number}" for number in range(8)]


@pytest.mark.parametrize(
    ("text", "options"), [(HEADER + rows(5, first=7), ["--model=fraud"]), (HEADER + rows(5), ["--model=other"])]
)
def test_the_state_of_another_file_or_model_is_not_used(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str], text: str, options: list[str]
) -> None:
    path = write(HEADER + rows(5))
    assert main(["send", str(path), "--model=fraud"]) == 0
    write(text)
    assert main(["send", str(path), *options]) == 1
    assert "remove it" in capsys.readouterr().err
    assert len(sent(ingest)) == 5


def test_a_quoted_line_break_is_part_of_its_row_also_where_reading_goes_on(ingest: StandIn, write: Write) -> None:
    path = write('prediction,note\r\na,"one\r\ntwo"\r\nb,"x\ny"\r\nc,z\r\n')
    assert main(["send", str(path), "--model=fraud", "--batch=1", "--column=event_id=note"]) == 0
    assert [(event["prediction"], event["event_id"]) for event in ingest.events()] == [
        ("a", "one\r\ntwo"), ("b", "x\ny"), ("c", "z"),
    ]  # fmt: skip


def refusing_before(seconds: float) -> Callable[[Received], Reply]:
    """Refuse, as ingest does, what is older than that: the first 100 by name."""

    def answering(request: Received) -> Reply:
        old = [index for index, event in enumerate(request.body) if event["timestamp"] < NOW - seconds]
        reason = f"is 9 s old and would not be counted: the monitor's windows reach back {seconds:.10g} s (8 days); …"
        errors = [{"index": index, "field": "timestamp", "reason": reason} for index in old[:100]]
        return problem(422, "invalid-events", errors=errors) if errors else Reply(202)

    return answering


def test_rows_that_are_too_old_are_said_first_all_of_them_and_how_to_have_them_counted(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest.answering = refusing_before(800)
    path = write(HEADER + rows(1_000))
    assert main(["send", str(path), "--model=fraud", "--batch=50"]) == 1
    said = capsys.readouterr().err
    assert "200 rows of fraud (lines 2 to 201" in said
    assert 'PUT /v1/models/fraud/monitor {"baseline_seconds": 86400}' in said
    assert "--skip-too-old" in said
    assert not ingest.events()
    assert main(["send", str(path), "--model=fraud", "--batch=300", "--skip-too-old"]) == 0
    assert len(sent(ingest)) == 800
    assert len(ingest.received) == 6, "once the limit is known, older rows are not sent"


def test_refused_rows_stop_it_or_are_left_out(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    def answering(request: Received) -> Reply:
        bad = [index for index, event in enumerate(request.body) if event["prediction"] == "label 3"]
        errors = [{"index": index, "field": "prediction", "reason": "is bad"} for index in bad]
        return problem(422, "invalid-events", errors=errors) if bad else Reply(202)

    ingest.answering = answering
    path = write(HEADER + rows(6) + "never,label 6,0.5,eu\n")
    assert main(["send", str(path), "--model=fraud", "--batch=2"]) == 1
    assert "line 5: prediction is bad" in capsys.readouterr().err
    assert main(["send", str(path), "--model=fraud", "--batch=2", "--skip-refused", "--json"]) == 0
    assert sent(ingest) == [f"label {number}" for number in (0, 1, 2, 4, 5)]
    found = json.loads(capsys.readouterr().out)
    assert (found["accepted"], found["left_out"]) == (5, 2)


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        (problem(401, "unauthorized", "no valid API key"), 1, "no valid API key; run: sentryml doctor"),
        (problem(403, "forbidden", "not of fraud", models=["fraud"]), 1, "not of fraud"),
        (problem(503, "unavailable", "no Kafka"), 3, "no Kafka. Run the same command again"),
        (Reply(close=True), 3, "Run the same command again"),
    ],
)
def test_where_nothing_is_taken_the_exit_code_and_the_text_say_why(
    ingest: StandIn, write: Write, capsys: pytest.CaptureFixture[str], reply: Reply, code: int, says: str
) -> None:
    ingest.answering = lambda _: reply
    assert main(["send", str(write(HEADER + rows(5))), "--model=fraud"]) == code
    assert says in capsys.readouterr().err


def test_a_limit_is_waited_for_and_too_large_a_batch_is_halved(
    ingest: StandIn, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentryml.command.sending.upload, "ATTEMPTS", 2)
    ingest.replies.extend([problem(429, "key-limit", headers={"Retry-After": "0"})] * 5)
    ingest.answering = lambda request: problem(413, "too-many-events") if len(request.body) > 30 else Reply(202)
    assert main(["send", str(write(HEADER + rows(100))), "--model=fraud"]) == 0
    assert len(sent(ingest)) == 100

"""The end of a process, and forks: each event is sent once, by the process that logged it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.ingest_stand_in import KEY, StandIn, problem


def run(ingest: StandIn, program: str) -> str:
    """What a program prints. It must end by itself."""
    environment = {"SENTRYML_URL": ingest.url, "SENTRYML_API_KEY": KEY, "PYTHONPATH": ":".join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def test_what_waits_at_the_end_is_sent(ingest: StandIn) -> None:
    said = run(ingest, "import sentryml\nfor n in range(250): sentryml.log('fraud', n)")
    assert [event["prediction"] for event in ingest.events()] == list(range(250))
    assert not said


def test_so_it_is_after_an_exception_and_from_what_runs_at_exit(ingest: StandIn) -> None:
    program = "import atexit, sentryml\natexit.register(lambda: sentryml.log('fraud', 2))\nsentryml.log('fraud', 1)"
    run(ingest, program)
    assert sorted(event["prediction"] for event in ingest.events()) == [1, 2]


def test_where_nothing_is_taken_the_end_comes_all_the_same_and_says_so(ingest: StandIn) -> None:
    ingest.answering = lambda _: problem(503, "unavailable")
    said = run(
        ingest,
        "import sentryml; sentryml.configure(flush_seconds=0.3)\nfor n in range(250): sentryml.log('fraud', n)",
    )
    assert "dropped" in said


def test_a_fork_sends_its_own_and_the_parent_sends_its_own(ingest: StandIn) -> None:
    program = """
import os, sentryml
for n in range(60): sentryml.log("parent", n)
child = os.fork()
if child == 0:
    assert sentryml.stats().waiting == 0
    for n in range(60): sentryml.log("child", n)
    raise SystemExit
os.waitpid(child, 0)
for n in range(60, 120): sentryml.log("parent", n)
"""
    assert not run(ingest, program)
    sent = [(event["model_id"], event["prediction"]) for event in ingest.events()]
    assert sorted(sent) == sorted([("child", n) for n in range(60)] + [("parent", n) for n in range(120)])


def test_a_fork_while_an_answer_is_being_read_waits_for_nothing(ingest: StandIn) -> None:
    program = """
import os, socket, sys, threading, sentryml
server, rest = socket.create_server(("127.0.0.1", 0)), threading.Event()
def answer():
    connection, _ = server.accept()
    connection.recv(100_000)
    connection.sendall(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 2\\r\\n\\r\\n")
    rest.wait()
    connection.sendall(b"{}")
threading.Thread(target=answer, daemon=True).start()
client = sentryml.Client("http://127.0.0.1:%d" % server.getsockname()[1], "sml_key", batch_events=1)
def reads():
    frame, names = sys._current_frames().get(client._thread.ident), []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names[:1] == ["readinto"] and "getresponse" not in names
client.log("fraud", 1)
while not reads(): pass
child = os.fork()
if child == 0:
    sentryml.log("fraud", 2)
    raise SystemExit
assert os.waitpid(child, 0)[1] == 0
rest.set()
assert client.flush(20) and client.stats().sent == 1
"""
    assert not run(ingest, program)
    assert [event["prediction"] for event in ingest.events()] == [2]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_of_multiprocessing_sends_what_it_has_logged(ingest: StandIn, method: str) -> None:
    program = f"""
import multiprocessing, sentryml
if __name__ == "__main__":
    sentryml.log("fraud", -1)
    context = multiprocessing.get_context("{method}")
    children = [context.Process(target=sentryml.log, args=("fraud", n)) for n in range(3)]
    for child in children: child.start()
    for child in children: child.join()
"""
    assert not run(ingest, program)
    assert sorted(event["prediction"] for event in ingest.events()) == [-1, 0, 1, 2]


def test_a_client_that_is_garbage_closes_no_other(ingest: StandIn) -> None:
    program = """
import gc, multiprocessing.util, sentryml, weakref
first, second = sentryml.Client(), sentryml.Client()
for client in (first, second):
    client.log("fraud", 1)
    assert client.flush(20)
ends, stays = first._thread, second._thread
assert first.close(20)
ends.join()
found = weakref.ref(first)
del client, first, ends
gc.collect()
assert found() is None
assert second._thread is stays and stays.is_alive()
"""
    assert not run(ingest, program)

"""`make bench-client`: what `sentryml.log` costs its caller, in turns with the clients of PostHog and Scouter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.report import RIVALS_PYTHON, Figure, show
from tests.support.ingest_stand_in import Received, Reply, stand_in

ROOT = Path(__file__).parents[1]
FIGURES = {
    "median": ("a call, µs, median", 1_000),
    "p99": ("a call, µs, p99", 1_000),
    "cpu": ("CPU of the process for each event, the sending thread included, µs", 1_000),
    "events_per_second": ("events logged and sent a second, one thread", 1),
}

OF_CALLS = ("median", "p99", "cpu")
"""Scouter's client does not say when all was sent."""


def answering(request: Received) -> Reply:
    """As ingest does, and as PostHog and Scouter do."""
    if request.path == "/v1/events":
        return Reply(202, {"accepted": 1})
    return Reply(200, {"token": "a", "status": "success"} if "scouter" in request.path else {"status": 1})


def main() -> None:
    """Measure, and print the figures."""
    with stand_in() as state:
        state.answering = answering
        measured = subprocess.run(
            [RIVALS_PYTHON, "-W", "ignore", ROOT / "bench" / "rivals" / "client_calls.py", state.url],
            env={**os.environ, "PYTHONPATH": str(ROOT / "libs" / "client")}, check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = json.loads(measured.stdout)
    show("The Python client, beside PostHog's", [figure(found, "posthog", name) for name in FIGURES])
    show("The Python client, beside Scouter's", [figure(found, "scouter", name) for name in OF_CALLS])


def figure(found: dict[str, dict[str, float]], rival: str, name: str) -> Figure:
    """Ours, and a rival's."""
    title, unit = FIGURES[name]
    ours, theirs = found["ours"][name] / unit, found[rival][name] / unit
    return Figure(title, ours, theirs, ours / theirs)


if __name__ == "__main__":
    main()

"""`make bench-client`: what `sentryml.log` costs its caller, in turns with the client of PostHog."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.report import Figure, show
from tests.support.ingest_stand_in import Received, Reply, stand_in

ROOT = Path(__file__).parents[1]
RIVALS = ROOT / ".venv-rivals" / "bin" / "python"
FIGURES = {
    "median": ("a call, µs, median", 1_000),
    "p99": ("a call, µs, p99", 1_000),
    "cpu": ("CPU of the process for each event, the sending thread included, µs", 1_000),
    "events_per_second": ("events logged and sent a second, one thread", 1),
}


def answering(request: Received) -> Reply:
    """As ingest does, and as PostHog does."""
    return Reply(202, {"accepted": 1}) if request.path == "/v1/events" else Reply(200, {"status": 1})


def main() -> None:
    """Measure, and print the figures."""
    with stand_in() as state:
        state.answering = answering
        measured = subprocess.run(
            [RIVALS, "-W", "ignore", ROOT / "bench" / "rivals" / "client_calls.py", state.url],
            env={**os.environ, "PYTHONPATH": str(ROOT / "libs" / "client")}, check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = json.loads(measured.stdout)
    figures = []
    for name, (title, unit) in FIGURES.items():
        ours, rival = found["ours"][name] / unit, found["posthog"][name] / unit
        figures.append(Figure(title, ours, rival, ours / rival))
    show("The Python client, beside PostHog's", figures)


if __name__ == "__main__":
    main()

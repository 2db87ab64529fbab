"""`make bench-incidents`: what incidents cost, each figure beside a rival run in the same minute.

Absolute figures are this machine's; ratios carry over. Nothing here passes or fails.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from bench.incidents.evaluations import measure as measure_evaluations
from bench.incidents.lists import measure as measure_lists
from bench.incidents.service import incidents_service
from bench.incidents.stream import measure as measure_stream
from bench.report import show
from sentryml_common.logging import configure_logging
from sentryml_common.settings import LogSettings


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")


def main() -> None:
    """Measure all, and print the tables."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    configure_logging("bench", LogSettings(log_level="warning"))
    try:
        with incidents_service() as service:
            show("Evaluations", asyncio.run(measure_evaluations(service, say)))
            show("Lists, p95 in ms", asyncio.run(measure_lists(service, say)))
            show("Stream, ms", asyncio.run(measure_stream(service, say)))
    except KeyboardInterrupt:
        sys.exit("stopped")


if __name__ == "__main__":
    main()

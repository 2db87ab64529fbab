"""`make bench-incidents`: what incidents cost, each figure beside a rival run in the same minute.

Absolute figures are this machine's; ratios carry over. Nothing here passes or fails.
"""

from __future__ import annotations

import asyncio

from bench.incidents.evaluations import measure as measure_evaluations
from bench.incidents.lists import measure as measure_lists
from bench.incidents.service import incidents_service
from bench.incidents.stream import measure as measure_stream
from bench.report import show, stopped_by_ctrl_c
from sentryml_common.logging import configure_logging
from sentryml_common.settings import LogSettings


def main() -> None:
    """Measure all, and print the tables."""
    configure_logging("bench", LogSettings(log_level="warning"))
    with stopped_by_ctrl_c(), incidents_service() as service:
        show("Evaluations", asyncio.run(measure_evaluations(service)))
        show("Lists, p95 in ms", asyncio.run(measure_lists(service)))
        show("Stream, ms", asyncio.run(measure_stream(service)))


if __name__ == "__main__":
    main()

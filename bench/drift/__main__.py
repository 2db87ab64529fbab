"""`make bench-drift`: what drift costs, each figure beside a rival run in the same minute.

Absolute figures are this machine's; ratios carry over. Nothing here passes or fails.
"""

from __future__ import annotations

import asyncio

from bench.drift.backfill import measure as measure_backfill
from bench.drift.combiner import measure as measure_combiner
from bench.drift.evaluation import measure_evaluation, measure_partials, measure_rounds
from bench.drift.long_tail import measure as measure_long_tail
from bench.drift.loop import measure as measure_loop
from bench.drift.new_panes import measure as measure_new_panes
from bench.drift.segments import measure as measure_segments
from bench.drift.startup import measure as measure_startup
from bench.report import show, stopped_by_ctrl_c


def main() -> None:
    """Measure all, and print the tables."""
    with stopped_by_ctrl_c():
        show("Start-up", asyncio.run(measure_startup()))  # first: it tells its memory from that of the process
        show("Processor", measure_partials())
        show("New panes", asyncio.run(measure_new_panes()))
        show("Event loop", asyncio.run(measure_loop()))
        show("Evaluation", measure_evaluation())
        show("Rounds", measure_rounds())
        show("Segments", measure_segments())
        show("Combiner", asyncio.run(measure_combiner()))
        show("Backfill", asyncio.run(measure_backfill()))
        show("Long tail", asyncio.run(measure_long_tail()))


if __name__ == "__main__":
    main()

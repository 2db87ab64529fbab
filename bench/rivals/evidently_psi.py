"""Evidently's PSI of a column of scores: prints the CPU seconds of a report. Runs alone, in the rivals' environment.

What it counts as PSI is its own rule (equal bins over both samples, by Sturges); only the time is compared.
"""

import os
import statistics
import sys
import time

import numpy as np

os.environ["DO_NOT_TRACK"] = "1"  # read by Evidently when it is imported

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

REPORTS = 5


def cpu_of_a_report(events: int) -> float:
    """CPU seconds of one report on `events` scores of the baseline and a seventh of that now: the median of some."""
    rng, definition = np.random.default_rng(2), DataDefinition(numerical_columns=["score"])
    baseline, current = (
        Dataset.from_pandas(pd.DataFrame({"score": rng.beta(2, 5, count)}), definition)
        for count in (events, events // 7)
    )
    taken = []
    for _ in range(REPORTS + 1):
        begun = time.process_time()
        report = Report([ValueDrift(column="score", method="psi")]).run(current, baseline)
        float(report.dict()["metrics"][0]["value"])
        taken.append(time.process_time() - begun)
    return statistics.median(taken[1:])  # the first also loads what it needs


if __name__ == "__main__":
    sys.stdout.write(f"{cpu_of_a_report(int(sys.argv[1]))}\n")

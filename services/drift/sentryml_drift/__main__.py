"""`python -m sentryml_drift combiner | processor`."""

from __future__ import annotations

import argparse

from sentryml_drift.app import run_combiner, run_processor

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sentryml_drift", description="The drift engine of SentryML.")
    parser.add_argument("part", choices=["combiner", "processor"], help="which of the two processes to run")
    if parser.parse_args().part == "combiner":
        run_combiner()
    else:
        run_processor()

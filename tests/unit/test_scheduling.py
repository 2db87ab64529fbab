"""Tests of one file run on one worker: fixtures of a file are set up once, and some tests count on their order."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict

FILES = tuple(f"tests/unit/common/{name}.py" for name in ("test_health", "test_monitor", "test_text"))
PASSED = re.compile(r"\[(gw\d)\].* PASSED (tests/[^:]+)::")


def test_tests_of_one_file_run_on_one_worker() -> None:
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-vv", "-p", "no:cacheprovider", *FILES]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    workers = defaultdict(set)
    for worker, file in PASSED.findall(said):
        workers[file].add(worker)
    assert set(workers) <= set(FILES), said
    assert [len(each) for each in workers.values()] == [1] * len(FILES), said

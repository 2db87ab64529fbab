"""What one call costs the caller, ours, PostHog's and Scouter's in turns: prints JSON. Runs alone, in the rivals'
environment.

Each appends to a queue, from which a thread sends to the same local server: ours and PostHog's every event, Scouter's
how many fell into each bin of a drift profile. Each round waits at its end until all is done.
"""

import gc
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
from posthog import Posthog
from scouter import Drifter, Feature, Features, HttpConfig, PsiDriftConfig, ScouterQueue

from sentryml import Client

CALLS, ROUNDS = 5_000, 12
REST_SECONDS, REST_NANOSECONDS = 0.05, 1_000_000


def ours(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """A call, and what waits until all is sent."""
    client = Client(url, "sml_000000000000_key")
    return lambda: client.log("fraud", prediction="legit", score=0.07), lambda: client.flush(60)


def posthogs(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same facts as an event of PostHog, without what it would look up about the machine."""
    client = Posthog("phc_key", host=url, disable_geoip=True)
    facts = {"prediction": "legit", "score": 0.07}
    return lambda: client.capture("prediction", distinct_id="fraud", properties=facts), client.flush


def scouters(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same two values as features of a PSI profile. Nothing but its end flushes it: wait until it rests."""
    data = np.random.default_rng(1).random((1_000, 2))
    profile = Drifter().create_drift_profile(data, PsiDriftConfig(space="bench", name="fraud", version="0.1.0"))
    queue = ScouterQueue.from_profile({"fraud": profile}, HttpConfig(server_uri=url, username="a", password="b"))
    insert, number = queue["fraud"].insert, Feature.float

    def call() -> object:
        return insert(Features(features=[number("feature_0", 1.0), number("feature_1", 0.07)]))

    return call, at_rest


def at_rest() -> None:
    """Wait until the process uses no CPU."""
    used = time.process_time_ns()
    while True:
        threading.Event().wait(REST_SECONDS)
        before, used = used, time.process_time_ns()
        if used - before < REST_NANOSECONDS:
            return


def round_of(call: Callable[[], object], flush: Callable[[], object]) -> dict[str, float]:
    """Nanoseconds of the calls, and of CPU of the whole process for each event, the thread that sends included."""
    gc.collect()
    clock, taken, cpu, began = time.perf_counter_ns, [], time.process_time_ns(), time.perf_counter()
    for _ in range(CALLS):
        before = clock()
        call()
        taken.append(clock() - before)
    flush()
    seconds = time.perf_counter() - began
    taken.sort()
    return {
        "median": taken[CALLS // 2],
        "p99": taken[CALLS * 99 // 100],
        "cpu": (time.process_time_ns() - cpu) / CALLS,
        "events_per_second": CALLS / seconds,
    }


def main(url: str) -> None:
    """Measure in turns; the first round warms up."""
    clients = {"ours": ours(url), "posthog": posthogs(url), "scouter": scouters(url)}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
    for number in range(ROUNDS + 1):
        for name, (call, flush) in clients.items():
            found = round_of(call, flush)
            if number:
                rounds[name].append(found)
    medians = {
        name: {figure: statistics.median(each[figure] for each in found) for figure in found[0]}
        for name, found in rounds.items()
    }
    sys.stdout.write(json.dumps(medians) + "\n")


main(sys.argv[1])

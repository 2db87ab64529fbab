"""What one call costs the caller, ours and PostHog's in turns: prints JSON. Runs alone, in the rivals' environment.

Both append to a queue of 10,000, from which a thread sends batches to the same local server; each round flushes at its
end.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable

from posthog import Posthog

from sentryml import Client

CALLS, ROUNDS = 5_000, 12


def ours(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """A call, and what waits until all is sent."""
    client = Client(url, "sml_000000000000_key")
    return lambda: client.log("fraud", prediction="legit", score=0.07), lambda: client.flush(60)


def posthogs(url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same facts as an event of PostHog, without what it would look up about the machine."""
    client = Posthog("phc_key", host=url, disable_geoip=True)
    facts = {"prediction": "legit", "score": 0.07}
    return lambda: client.capture("prediction", distinct_id="fraud", properties=facts), client.flush


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
    clients = {"ours": ours(url), "posthog": posthogs(url)}
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

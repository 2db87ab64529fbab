"""`make test-alerts`: do the shipped rules fire when something is down, and only then?

First every rule and the counting panels on made-up series (`deploy/prometheus/tests`), then a rehearsal: a whole local
stack beside a real Prometheus, in which one part after the other is stopped and started again while events are sent. A
real Alertmanager is sent an incident by the channel of that kind. Exit code 0: every rule has fired that should, and
was silent again afterwards; Alertmanager showed the incident as it was.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from sentryml_local.stack import Options, Stack
from tests.chaos.alertmanager import rehearse as rehearse_alertmanager
from tests.chaos.alertmanager import running_alertmanager
from tests.chaos.prometheus import DEPLOYED, SCRAPED, Alert, Prometheus, running_prometheus
from tests.support.eventually import eventually_sync
from tests.support.ports import free_port_base

SEND_EVERY_SECONDS = 0.2
KAFKA = {Alert("SentryMLKafkaAway", name) for name in SCRAPED} | {Alert("SentryMLIngestRefuses", "")}
EXPECTED = {name: {Alert(f"SentryML{name.capitalize()}Down", name)} for name in SCRAPED} | {"kafka": KAFKA}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def sending_events(stack: Stack) -> Iterator[None]:
    """Send an event now and again, whatever is answered."""
    env, end = stack.environment(), threading.Event()
    url, headers = f"{env['SENTRYML_INGEST_URL']}/v1/events", {"Authorization": f"Bearer {env['SENTRYML_EVENTS_KEY']}"}

    def send() -> None:
        with httpx.Client(headers=headers, timeout=10, trust_env=False) as client:
            while not end.wait(SEND_EVERY_SECONDS):
                try:
                    client.post(url, json={"model_id": "rehearsal", "prediction": "a"})
                except httpx.TransportError:
                    continue

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def rehearse(stack: Stack, prometheus: Prometheus, part: str) -> str:
    """Stop a part, see its alerts fire, start it again, see all alerts end; a row of the table."""
    stack.stop([part])
    stopped = time.monotonic()
    eventually_sync(lambda: prometheus.firing() >= EXPECTED[part], what=f"{part} to be reported: {EXPECTED[part]}")
    fired, others = time.monotonic() - stopped, prometheus.firing() - EXPECTED[part]
    stack.up()
    started = time.monotonic()
    eventually_sync(lambda: not prometheus.firing(), what="all alerts to end", within=600)
    rules = ", ".join(sorted({f"`{each.name}`" for each in EXPECTED[part]}))
    also = ", ".join(sorted(map(str, others))) or "–"
    return f"| {part} | {rules} | {fired:.0f} s | {also} | {time.monotonic() - started:.0f} s |"


def rehearse_all(program: str) -> None:
    """Every part in turn; prints a table."""
    options = Options(port_base=free_port_base(), fine_pane_seconds=1.0, durable=False)
    with TemporaryDirectory(prefix="sentryml-alerts-") as name:
        stack = Stack(Path(name) / "stack", options)
        try:
            stack.up()
            with (
                running_prometheus(program, stack.addresses, Path(name) / "prometheus") as prometheus,
                sending_events(stack),
            ):
                eventually_sync(prometheus.ready, what="Prometheus to start")
                eventually_sync(lambda: prometheus.scraped() == set(SCRAPED), what="every service to be scraped")
                eventually_sync(lambda: not prometheus.firing(), what="no alert while all runs")
                say("| stopped | fired | after | also firing then | silent after the start |\n|---|---|---|---|---|")
                for part in EXPECTED:
                    say(rehearse(stack, prometheus, part))
        finally:
            stack.down()


def rehearse_channel(program: str) -> None:
    """An incident on its way through a real Alertmanager; prints a table."""
    with (
        TemporaryDirectory(prefix="sentryml-alertmanager-") as name,
        running_alertmanager(program, Path(name) / "alertmanager") as real,
    ):
        eventually_sync(real.ready, what="Alertmanager to start")
        asyncio.run(rehearse_alertmanager(real, say))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="make test-alerts", description=__doc__)
    parser.add_argument("--tools", type=Path, required=True, help="folder of prometheus, promtool, alertmanager")
    parser.add_argument("--rules-only", action="store_true", help="without the rehearsal")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    promtool = str(arguments.tools / "promtool")
    tests = sorted(map(str, (DEPLOYED / "tests").glob("*.yml")))
    for command in ([promtool, "check", "rules", str(DEPLOYED / "alerts.yml")], [promtool, "test", "rules", *tests]):
        if subprocess.run(command, check=False).returncode:
            sys.exit(1)
    rehearse_channel(str(arguments.tools / "alertmanager"))
    if not arguments.rules_only:
        rehearse_all(str(arguments.tools / "prometheus"))


if __name__ == "__main__":
    main()

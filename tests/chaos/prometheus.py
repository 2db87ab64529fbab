"""A real Prometheus beside a local stack, with the rules of `deploy/prometheus/alerts.yml`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from sentryml_local.programs import Addresses
from tests.support.ports import free_port

DEPLOYED = Path(__file__).resolve().parent.parent.parent / "deploy" / "prometheus"
SCRAPED = ("ingest", "combiner", "processor", "incidents", "notifier")
HOLD_SECONDS = 10
"""Instead of the minute or two for which most rules have to hold before they fire. Those that look back over minutes
have to hold for longer than that, and still do: else a single refused request would be enough."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires."""

    name: str
    service: str

    def __str__(self) -> str:
        return f"{self.name} ({self.service})" if self.service else self.name


class Prometheus:
    """Answers which alerts fire."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ready(self) -> bool:
        """Whether it has started."""
        try:
            return httpx.get(f"{self._url}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def scraped(self) -> set[str]:
        """The services that answered the last scrape."""
        answer = httpx.get(f"{self._url}/api/v1/query", params={"query": "up == 1"}, trust_env=False)
        return {each["metric"]["service"] for each in answer.json()["data"]["result"]}

    def firing(self) -> set[Alert]:
        """All alerts that fire now."""
        alerts = httpx.get(f"{self._url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
        return {
            Alert(each["labels"]["alertname"], each["labels"].get("service", ""))
            for each in alerts
            if each["state"] == "firing"
        }


@contextmanager
def running_prometheus(program: str, addresses: Addresses, folder: Path) -> Iterator[Prometheus]:
    """Scrape the stack at `addresses` every second, as job and labels are deployed; rules hold for seconds."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(addresses)))
    rules = re.sub(r"for: [12]m", f"for: {HOLD_SECONDS}s", (DEPLOYED / "alerts.yml").read_text())
    (folder / "alerts.yml").write_text(rules)
    port = free_port()
    command = [
        program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _configuration(addresses: Addresses) -> dict[str, object]:
    deployed = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    [job] = deployed["scrape_configs"]
    targets = [
        {"targets": [addresses.http(name).removeprefix("http://")], "labels": {"service": name}} for name in SCRAPED
    ]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [{"job_name": job["job_name"], "static_configs": targets}],
    }

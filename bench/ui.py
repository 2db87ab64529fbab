"""`make bench-ui`: what a page costs with ten thousand models that all drift, beside the same in JSON from the API.

Absolute figures are this machine's; ratios carry over. Nothing here passes or fails.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import urljoin

import httpx
from pydantic import SecretStr

from bench.incidents.evaluations import MODELS, an_evaluation
from bench.incidents.service import Incidents, incidents_service
from bench.report import p95_of, say, say_table, stopped_by_ctrl_c
from sentryml_common.clock import system_clock
from sentryml_common.contracts.monitor import MonitorSettings
from sentryml_common.health import Health
from sentryml_common.logging import configure_logging
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import LogSettings, PostgresSettings
from sentryml_incidents.consumers.evaluations import EvaluationConsumer
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.passwords import hash_password
from sentryml_incidents.settings import SCHEMA
from sentryml_incidents.store.evaluations.evaluations import make_week, save_evaluations
from sentryml_incidents.store.people.users import insert_user
from tests.support.eventually import eventually
from tests.support.signing_in import SAME_ORIGIN, sign_in

BATCH, ASKED = 500, 50
LISTED, LONGEST = 60, "model-00000"
EVERY, DAY, QUARTER = timedelta(minutes=5), timedelta(days=1), timedelta(days=90)
PREVIEWS, PREVIEW_DAYS = 10, (7, 90)
EMAIL, PASSWORD = "bench@example.org", "correct horse battery"
PAGES = {
    "overview": ("/models", "/v1/models?limit=30"),
    "overview, searched": ("/models?search=model-005", "/v1/models?search=model-005&limit=30"),
    "model, a day": (f"/models/{LONGEST}", f"/v1/models/{LONGEST}"),
    "model, 90 days": (f"/models/{LONGEST}?days=90", f"/v1/models/{LONGEST}/evaluations?limit=500"),
    "model, an evaluation of before": (f"/models/{LONGEST}?at={{at}}", f"/v1/models/{LONGEST}/evaluations?limit=50"),
    "monitor": (f"/models/{LONGEST}/monitor", f"/v1/models/{LONGEST}/monitor"),
    "incidents": ("/incidents", "/v1/incidents?limit=50"),
    "incidents, open and critical": (
        "/incidents?state=open&severity=critical",
        "/v1/incidents?state=open&severity=critical&limit=50",
    ),
    "incidents, resolved": ("/incidents?state=resolved", "/v1/incidents?state=resolved&limit=50"),
    "incidents, a pattern": ("/incidents?model=*-0099*", "/v1/incidents?limit=50"),
    "incidents, a name in none": ("/incidents?model=nothing", "/v1/incidents?limit=50"),
    "incidents, last hour": ("/incidents?within=hour", "/v1/incidents?limit=50"),
    "incidents, between days": ("/incidents?from=2020-01-01&to=2020-12-31", "/v1/incidents?limit=50"),
    "incidents, parked alerts": ("/incidents?undeliverable=true", "/v1/incidents?limit=50"),
    "incidents, oldest first": ("/incidents?order=oldest", "/v1/incidents?limit=50"),
    "incidents, highest PSI first": ("/incidents?order=peak", "/v1/incidents?limit=50"),
    "incidents, by model": ("/incidents?order=model", "/v1/incidents?limit=50"),
    "incidents, all filters at once": (
        "/incidents?state=live&severity=critical&model=model-*&within=day&order=peak",
        "/v1/incidents?state=open&state=acknowledged&severity=critical&limit=50",
    ),
    "incident": ("/incidents/1", "/v1/incidents/1"),
    "API keys": ("/keys", "/v1/api-keys"),
}
ALERTS = {
    "alerts": ("/alerts", "{notifier}/v1/routes"),
    "alerts, where one would go": (f"/alerts?model={LONGEST}", "{notifier}/v1/deliveries?undeliverable=true&limit=10"),
    "deliveries": ("/alerts/deliveries", "{notifier}/v1/deliveries?limit=30"),
    "deliveries, waiting": (
        "/alerts/deliveries?state=waiting",
        "{notifier}/v1/deliveries?state=pending&state=sending&limit=30",
    ),
    "deliveries, of a model": (
        f"/alerts/deliveries?model={LONGEST}",
        f"{{notifier}}/v1/deliveries?model={LONGEST}&limit=30",
    ),
    "changes of routes and channels": ("/alerts/changes", "{notifier}/v1/changes?limit=50"),
}
"""A message waits for each of the incidents."""


async def fill(postgres: str) -> None:
    """Every model with a live incident; a day of evaluations for those on the first page, a quarter for one."""
    async with open_pool(PostgresSettings(postgres_url=SecretStr(postgres)), SCHEMA, Health()) as pool:
        await migrate(pool, SCHEMA, read_migrations("sentryml_incidents"))
        now = system_clock()
        for number in range(LISTED):
            await keep_evaluations(pool, f"model-{number:05}", now - DAY, now)
        await keep_evaluations(pool, LONGEST, now - QUARTER, now - DAY - EVERY)
        consumer = EvaluationConsumer(pool, MonitorSettings())
        for start in range(0, MODELS, BATCH):
            numbers = range(start, start + BATCH)
            await consumer.take_all([an_evaluation(f"model-{number:05}", now, drifts=True) for number in numbers])
        await pool.execute("UPDATE model SET first_seen = $1", now - QUARTER)
        async with transaction(pool) as connection:
            await insert_user(connection, EMAIL, Role.ADMIN, hash_password(PASSWORD), now)


async def keep_evaluations(pool: Pool, model_id: str, start: datetime, end: datetime) -> None:
    """Evaluations of one model without drift."""
    evaluations = [
        an_evaluation(model_id, start + number * EVERY, drifts=False) for number in range((end - start) // EVERY)
    ]
    for first in range(0, len(evaluations), BATCH):
        some = evaluations[first : first + BATCH]
        for each in (some[0], some[-1]):
            async with transaction(pool) as connection:
                await make_week(connection, each.evaluated_at)
        async with transaction(pool) as connection:
            await save_evaluations(connection, some)


async def measure(service: Incidents) -> list[list[str]]:
    """For each page: p95 in milliseconds of page and API, their ratio, and what a first visit loads, compressed."""
    say(f"{MODELS:,} models drift")
    await fill(service.postgres)
    with service.running():
        async with (
            httpx.AsyncClient(base_url=service.url, timeout=60, trust_env=False) as browser,
            httpx.AsyncClient(base_url=service.url, timeout=60, trust_env=False) as machine,
        ):
            await service.ready(browser)
            machine.headers["Authorization"] = f"Bearer {service.make_key()}"
            await sign_in(browser, EMAIL, PASSWORD)
            say("pages")
            at = (system_clock() - DAY / 2).strftime("%Y-%m-%dT%H:%M:%SZ")
            rows = [await row(browser, machine, name, page.format(at=at), api) for name, (page, api) in PAGES.items()]
            rows += [await tried_row(browser, machine, days) for days in PREVIEW_DAYS]
            with service.notifying():
                await all_waiting(service.postgres)
                say("pages of alerts")
                for name, (page, api) in ALERTS.items():
                    rows.append(await row(browser, machine, name, page, api.format(notifier=service.notifier_url)))
            return rows


async def all_waiting(postgres: str) -> None:
    """Wait until the notifier has a message for every incident."""
    async with open_pool(PostgresSettings(postgres_url=SecretStr(postgres)), "notifier", Health()) as pool:

        async def all_there() -> bool:
            if not await pool.fetchval("SELECT to_regclass('delivery') IS NOT NULL"):
                return False
            return bool(await pool.fetchval("SELECT count(*) >= $1 FROM delivery", MODELS))

        await eventually(all_there, what="a message for every incident")


async def row(browser: httpx.AsyncClient, machine: httpx.AsyncClient, name: str, page: str, api: str) -> list[str]:
    ours, rival = await p95(lambda: browser.get(page)), await p95(lambda: machine.get(api))
    size = await first_load(browser, lambda: browser.get(page))
    return [name, f"{ours:.0f}", f"{rival:.1f}", f"{ours / rival:.1f}", f"{size / 1024:.0f}"]


async def tried_row(browser: httpx.AsyncClient, machine: httpx.AsyncClient, days: int) -> list[str]:
    """The preview of higher thresholds over `days` on the page; from the API it is over all that is kept, so only
    the longest has its like there."""
    path = f"/models/{LONGEST}/monitor"
    form = {"version": "1", "signals": ["score", "prediction"]}
    data = form | {"warn": "0.15", "days": str(days)}
    page = lambda: browser.post(f"{path}/preview", data=data, headers=SAME_ORIGIN)  # noqa: E731
    ours, size = await p95(page, PREVIEWS), await first_load(browser, page)
    beside = ["–", "–"]
    if days == max(PREVIEW_DAYS):
        rival = await p95(lambda: machine.post(f"/v1{path}:preview", json={"warn": 0.15}), PREVIEWS)
        beside = [f"{rival:.1f}", f"{ours / rival:.1f}"]
    return [f"monitor, a preview over {days} days", f"{ours:.0f}", *beside, f"{size / 1024:.0f}"]


async def first_load(browser: httpx.AsyncClient, ask: Callable[[], Awaitable[httpx.Response]]) -> int:
    """Bytes of a page and of all that it loads, compressed as they are sent."""
    answer = await ask()
    named = set(re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="([^"]+)"', answer.text))
    parts = [answer, *[await browser.get(urljoin(str(answer.url), each)) for each in named]]
    return sum(part.raise_for_status().num_bytes_downloaded for part in parts)


async def p95(ask: Callable[[], Awaitable[httpx.Response]], asked: int = ASKED) -> float:
    """In milliseconds."""

    async def checked() -> None:
        (await ask()).raise_for_status()

    return await p95_of(checked, asked)


def main() -> None:
    """Measure all, and print the table."""
    configure_logging("bench", LogSettings(log_level="warning"))
    headings = ["page", "ms", "the API's answer, ms", "ratio", "first load, KB"]
    with stopped_by_ctrl_c(), incidents_service() as service:
        say_table("Pages with 10,000 drifting models, p95", headings, asyncio.run(measure(service)))


if __name__ == "__main__":
    main()

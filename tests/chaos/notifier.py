"""`make chaos-notifier`: is every alert delivered or visibly parked, whatever Slack answers and whenever a
notifier is killed, alone, in a group or in the summary of a hold?

Two notifiers with real Kafka and PostgreSQL, each killing itself at one named step after the other and restarted,
and a Slack that fails in every way. A storm of incidents against few messages a second. Exit code 0: no violation.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import asyncpg
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from sentryml_common.clock import system_clock
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import TRANSITIONS
from sentryml_common.contracts.transition import Severity, Standing, State, Transition
from sentryml_common.health import Health
from sentryml_common.kafka.topics import ensure_topics
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool
from sentryml_common.settings import KafkaSettings, PostgresSettings
from sentryml_local.slack_stand_in.store import RateLimit
from sentryml_notifier.channel_registry import SettingsChannel
from sentryml_notifier.settings_channels import SLACK, SLACK_SETTING
from tests.chaos.notifier_check import Entry, Facts, latencies, table, violations
from tests.chaos.notifier_dying import CONSUMING, DISPATCHING, STEPS
from tests.chaos.notifier_operator import Operator
from tests.chaos.notifier_slack import SEND_SECONDS, HostileSlack, HostileStore, hostile_slack
from tests.chaos.workers import Worker
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.servers import a_kafka, a_postgres
from tests.unit.notifier.builders import escalated, opened_critical, opened_warn, resolved

FIRST_INCIDENT = 1_000_000
CRITICAL_SHARE, WORSE_SHARE, OVER_SHARE = 0.3, 0.2, 0.2
UNDELIVERABLE_FOR_GOOD = 5
TOPIC_PREFIX = "chaos."
"""Other notifiers may use the same Kafka."""
LEASE_SECONDS = 16  # the shortest there is
PROGRESS_SECONDS = 10.0
GROUP_WAIT, GROUP_WINDOW = 0.2, 1.0
"""So short that some alerts are alone, and others in a group."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much: incidents, in how many seconds, against how many messages a second; kills; each fault how often."""

    incidents: int = 500
    storm_seconds: float = 10.0
    per_second: float = 1.0
    kills: int = 40
    faults: int = 5

    @property
    def patience_seconds(self) -> float:
        """No run takes longer, however unlucky."""
        return 240 + 4 * self.incidents / self.per_second + self.kills * LEASE_SECONDS + self.faults * 60


SHORT = Size(incidents=60, storm_seconds=3.0, per_second=5.0, kills=len(STEPS), faults=1)


@dataclass(slots=True)
class Mortal(Worker):
    """A notifier that dies at the next step of its list, and lives when the list is at its end."""

    fates: list[tuple[str, int]] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    next_step: str | None = None

    def start(self) -> None:
        """Start it; if it was killed, the step is done with, else the step is repeated."""
        if self.process is not None and self.next_step is not None and self.process.returncode == -signal.SIGKILL:
            self.deaths.append(self.next_step)
            self.fates.pop(0)
        fate = self.fates[0] if self.fates else None
        self.next_step = fate[0] if fate else None
        self.command = [sys.executable, "-m", "tests.chaos.notifier_dying", str(SEND_SECONDS)]
        self.command += [fate[0], str(fate[1])] if fate else []
        # Not super(): a dataclass with slots is another class than the one that a bare super() knows.
        Worker.start(self)


def fates(rng: random.Random, kills: int) -> list[list[tuple[str, int]]]:
    """For each of two notifiers at which steps it dies, and at which time of coming there: every step in its turn."""
    steps = [STEPS[number % len(STEPS)] for number in range(kills)]
    # Consuming ends long before sending does.
    ordered = [step for step in steps if step in CONSUMING] + [step for step in steps if step in DISPATCHING]
    drawn = [(step, 1 if step in CONSUMING else rng.randint(1, 4)) for step in ordered]
    return [drawn[0::2], drawn[1::2]]


def incidents(rng: random.Random, size: Size) -> Iterator[list[Transition]]:
    """The steps of each incident. They are dated when they are published."""
    for number in range(FIRST_INCIDENT, FIRST_INCIDENT + size.incidents):
        names = {"incident": number, "model_id": f"chaos-{number}"}
        critical = rng.random() < CRITICAL_SHARE
        steps = [opened_critical(**names) if critical else opened_warn(**names)]
        if not critical and rng.random() < WORSE_SHARE:
            steps.append(escalated(2, 0, **names))
        if rng.random() < OVER_SHARE:
            standing = Standing(state=State.OPEN, severity=steps[-1].to.severity or Severity.WARN)
            steps.append(resolved(len(steps) + 1, 0, standing, **names))
        yield steps


class Storm:
    """Publishes incidents to Kafka: all openings at once, what follows little by little."""

    def __init__(self, producer: AIOKafkaProducer, rng: random.Random, size: Size) -> None:
        self._producer, self._rng, self._size = producer, rng, size
        self._next = FIRST_INCIDENT + size.incidents
        self.published: list[Transition] = []

    async def blow(self) -> None:
        """Publish everything."""
        steps = list(incidents(self._rng, self._size))
        self._rng.shuffle(steps)
        pause = self._size.storm_seconds / len(steps)
        for each in steps:
            await self.publish(each.pop(0))
            await asyncio.sleep(pause)
        following = [each for each in steps if each]
        while following:
            each = self._rng.choice(following)
            await self.publish(each.pop(0))
            following = [each for each in following if each]
            await asyncio.sleep(pause * 2)

    async def publish(self, step: Transition) -> None:
        """Publish one step, as happening now."""
        step = step.model_copy(update={"at": system_clock()})
        self.published.append(step)
        await self._producer.send_and_wait(TOPIC_PREFIX + TRANSITIONS.name, encode(step), step.model_id.encode())

    async def publish_more(self, count: int) -> None:
        """Open some more incidents."""
        for _ in range(count):
            number, self._next = self._next, self._next + 1
            await self.publish(opened_warn(incident=number, model_id=f"chaos-{number}"))

    async def go_on_while(self, goes_on: Callable[[], bool]) -> None:
        """Open one more incident every now and then, as long as the run goes on."""
        end = time.monotonic() + self._size.patience_seconds
        while goes_on() and time.monotonic() < end:
            await self.publish_more(1)
            await asyncio.sleep(4 / self._size.per_second)


@dataclass(frozen=True, slots=True)
class Run:
    """One run's parts, and the report of its progress."""

    size: Size
    pool: Pool
    slack: HostileSlack
    storm: Storm
    notifiers: list[Mortal]
    say: Callable[[str], None]
    given_up: list[str] = field(default_factory=list)

    async def states(self) -> Counter[str]:
        """How many of our deliveries are in each state."""
        rows = await self.pool.fetch(
            """
            SELECT d.state, count(*) AS count FROM delivery AS d JOIN transition USING (transition_id)
             WHERE model_id LIKE 'chaos-%' GROUP BY d.state
            """
        )
        return Counter({row["state"]: row["count"] for row in rows})

    async def until_all_are(self, *states: str) -> None:
        """Wait until all that is published is in one of these states, or patience ends."""

        async def reached() -> bool:
            found = await self.states()
            return sum(found[state] for state in states) >= len(self.storm.published)

        try:
            await eventually(reached, what=f"all to be {states}", within=self.size.patience_seconds)
        except AssertionError:
            self.given_up.append(
                f"given up: not all are {' or '.join(states)}, the ledger has {dict(await self.states())}"
            )

    async def tell_progress(self) -> None:
        """Say how far it is, until cancelled."""
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            states, store = await self.states(), self.slack.store
            deaths = sum(len(each.deaths) for each in self.notifiers)
            self.say(
                f"published {len(self.storm.published)}, delivered {states['delivered']}, waiting "
                f"{states['pending'] + states['sending']}, parked {states['parked']}; {len(store.requests)} requests, "
                f"{store.faults_left} faults left, {deaths} kills"
            )

    async def facts(self) -> Facts:
        """What there is to judge by, at the end."""
        rows = await self.pool.fetch(
            """
            SELECT t.model_id, d.kind, d.state, d.created_at, coalesce(d.last_text, c.broken_reason) AS text,
                   (SELECT coalesce(jsonb_agg(jsonb_build_array(a.send_id, a.outcome) ORDER BY a.attempt_id), '[]')
                      FROM attempt AS a WHERE a.delivery_id = d.delivery_id) AS attempts
              FROM delivery AS d JOIN transition AS t USING (transition_id) JOIN channel AS c USING (channel_id)
             WHERE t.model_id LIKE 'chaos-%'
            """
        )
        entries = [Entry(**{**dict(row), "attempts": [tuple(each) for each in row["attempts"]]}) for row in rows]
        store = self.slack.store
        held = timedelta(seconds=GROUP_WAIT + GROUP_WINDOW)
        return Facts(self.storm.published, entries, store.requests, store.played, held)


async def attack(run: Run, operator: Operator) -> Facts:
    """The storm, and all faults and kills; then the channel is gone for good. What came of it."""
    await operator.hold()
    run.say("two notifiers are started; the storm begins")
    alive = [asyncio.create_task(each.keep_alive()) for each in run.notifiers]
    beside = [asyncio.create_task(operator.watch()), asyncio.create_task(run.tell_progress())]
    try:
        await run.storm.blow()
        run.say(f"the hold ends, of {await operator.let_go()} alerts")
        await run.storm.go_on_while(lambda: any(each.fates for each in run.notifiers))
        run.say(f"{len(run.storm.published)} alerts are published, and all kills dealt")
        await run.until_all_are("delivered")
        run.say("now Slack archives the channel, and nobody fixes it")
        beside[0].cancel()
        run.slack.store.be_gone()
        await run.storm.publish_more(UNDELIVERABLE_FOR_GOOD)
        await run.until_all_are("delivered", "parked")
        return await run.facts()
    finally:
        for task in (*beside, *alive):
            task.cancel()
        for each in run.notifiers:
            each.kill()


@asynccontextmanager
async def prepared(
    folder: Path, kafka: str, postgres_url: str, seed: int, size: Size, say: Callable[[str], None]
) -> AsyncIterator[tuple[Run, Operator]]:
    """All parts, ready to run."""
    rng = random.Random(seed)
    say(f"seed {seed}: {size.incidents} incidents in {size.storm_seconds:g} s, {size.per_second:g} messages a second, "
        f"{size.kills} kills, each fault {size.faults} times; logs in {folder}")  # fmt: skip
    async with AsyncExitStack() as opened:
        store = HostileStore(rng, size.faults, as_usual=5 * size.faults)  # a storm is few messages
        slack = await opened.enter_async_context(
            hostile_slack(store, RateLimit(per_second=size.per_second * 1.1, burst=4, retry_after_seconds=1))
        )
        settings = {
            "KAFKA_BOOTSTRAP": kafka, "TOPIC_PREFIX": TOPIC_PREFIX, "POSTGRES_URL": postgres_url,
            "SLACK_WEBHOOK_URL": slack.address, "ALLOWED_HOSTS": slack.authority,
            "SLACK_MESSAGES_PER_SECOND": str(size.per_second), "DISPATCH_POLL_SECONDS": "0.2",
            "DELIVERY_LEASE_SECONDS": str(LEASE_SECONDS),
            "GROUP_WAIT_SECONDS": str(GROUP_WAIT), "GROUP_WINDOW_SECONDS": str(GROUP_WINDOW),
        }  # fmt: skip
        notifiers = []
        for number, mine in enumerate(fates(rng, size.kills), 1):
            environment = {f"SENTRYML_{name}": value for name, value in settings.items()}
            environment["SENTRYML_HTTP_PORT"] = str(free_port())
            notifiers.append(Mortal(f"notifier-{number}", [], environment, folder / f"{number}.log", fates=mine))
        await ensure_topics(KafkaSettings(kafka_bootstrap=kafka, topic_prefix=TOPIC_PREFIX), Health())
        producer = await opened.enter_async_context(AIOKafkaProducer(bootstrap_servers=kafka))
        pool = await opened.enter_async_context(
            open_pool(PostgresSettings(postgres_url=SecretStr(postgres_url)), "notifier", Health())
        )
        given = SettingsChannel(
            SLACK, "slack_webhook", SLACK_SETTING, "url", SecretStr(slack.address),
            {"messages_per_second": size.per_second},
        )  # fmt: skip
        run = Run(size, pool, slack, Storm(producer, rng, size), notifiers, say)
        # Before a notifier does: what watches the tables begins at once.
        await migrate(pool, "notifier", read_migrations("sentryml_notifier"))
        yield run, Operator(pool, given)


async def run_once(
    folder: Path, kafka: str, postgres_url: str, seed: int, size: Size, say: Callable[[str], None]
) -> tuple[list[str], Counter[str]]:
    """One run: what was violated, and how often a notifier died at each step."""
    begun = time.monotonic()
    async with prepared(folder, kafka, postgres_url, seed, size, say) as (run, operator):
        facts = await attack(run, operator)
    deaths = Counter(step for each in run.notifiers for step in each.deaths)
    for line in (*table(facts), *latencies(facts)):
        say(line)
    say(f"killed at {dict(deaths)}; the channel was fixed {operator.fixed} times")
    found = [*run.given_up, *violations(facts)]
    states = Counter(entry.state for entry in facts.entries)
    say(
        f"seed {seed}: {len(facts.published)} alerts, {states['delivered']} delivered, {states['parked']} parked "
        f"with a reason; {facts.groups} messages of groups; {len(found)} violations, {time.monotonic() - begun:.0f} s"
    )
    for violation in found:
        say(f"VIOLATION {violation}")
    return found, deaths


def say_aloud(line: str) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.__stdout__.flush()


async def with_database(folder: Path, kafka: str, postgres_url: str, seed: int, size: Size) -> list[str]:
    """Run in a fresh database."""
    name = f"chaos_{seed}_{os.getpid()}"
    server = await asyncpg.connect(postgres_url)
    try:
        await server.execute(f'CREATE DATABASE "{name}"')
        found, _ = await run_once(folder, kafka, f"{postgres_url.rpartition('/')[0]}/{name}", seed, size, say_aloud)
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        return found
    finally:
        await server.close()


def main() -> None:
    """Start the servers, and run once."""
    standard = Size()
    parser = argparse.ArgumentParser(prog="make chaos-notifier", description=__doc__ and __doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="of the random choices (default: another one each time)")
    parser.add_argument("--short", action="store_true", help="the form that `make test` runs")
    parser.add_argument("--incidents", type=int, help=f"how many (default {standard.incidents})")
    parser.add_argument("--per-second", type=float, help=f"messages that Slack takes (default {standard.per_second:g})")
    parser.add_argument("--kills", type=int, help=f"how many (default {standard.kills})")
    options = parser.parse_args()
    chosen = SHORT if options.short else standard
    size = Size(
        incidents=options.incidents or chosen.incidents,
        storm_seconds=chosen.storm_seconds,
        per_second=options.per_second or chosen.per_second,
        kills=chosen.kills if options.kills is None else options.kills,
        faults=chosen.faults,
    )
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    folder = Path(mkdtemp(prefix="sentryml-chaos-notifier-"))
    for name in ("aiokafka", "uvicorn"):  # they tell at length that the other side is gone
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for signum in (signal.SIGINT, signal.SIGTERM):  # also where a shell has us ignore the first
        signal.signal(signum, signal.default_int_handler)
    try:
        # The stand-in prints each message that it gets.
        with a_kafka() as kafka, a_postgres() as url, Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            found = asyncio.run(with_database(folder, kafka, url, seed, size))
    except KeyboardInterrupt:
        rmtree(folder)
        sys.exit("stopped")
    if found:
        sys.exit(f"logs are in {folder}")
    rmtree(folder)


if __name__ == "__main__":
    main()

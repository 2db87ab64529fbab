"""The pages of alerts on a real notifier: its REST API, its ledger, and Slack's stand-in."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from sentryml_common.contracts.internal.system_state import SystemFault
from sentryml_common.health import Health
from sentryml_common.http.problems import install_problems
from sentryml_common.postgres.migrate import migrate, read_migrations
from sentryml_common.postgres.pool import Pool, open_pool, transaction
from sentryml_common.settings import PostgresSettings
from sentryml_incidents.clients.notifier import Notifier
from sentryml_incidents.domain.roles import Role
from sentryml_incidents.usecases.context import Context
from sentryml_local.slack_stand_in.store import Script
from sentryml_notifier.channels.outbound import make_client
from sentryml_notifier.domain.system_alerts import rules
from sentryml_notifier.domain.system_alerts.rules import Subject
from sentryml_notifier.http.api import create_app
from sentryml_notifier.http.context import Context as NotifierContext
from sentryml_notifier.store.audit import Audit, Fault, Finding
from sentryml_notifier.store.system_alerts import begin, end
from tests.integration.incidents.conftest import MakeBrowser, SignedIn, StillClock, add_user, begin_session
from tests.integration.incidents.test_pages import text_of
from tests.integration.notifier.api_client import make_context
from tests.integration.notifier.conftest import Slack, World, slack
from tests.support.http_client import http_client
from tests.support.signing_in import submit
from tests.unit.notifier.builders import opened_critical, opened_warn

__all__ = ["slack"]

SECRET = SecretStr("s" * 32)
TOKEN = "XXXXXXXXXXXXXXXXXXXXXXXX"
WEBHOOK = f"https://hooks.slack.com/services/T00000000/B00000000/{TOKEN}"
ROUTE = "SELECT route_id FROM route WHERE name = 'fraud'"
ARCHIVED = Script(status=410, body="channel_is_archived")


@pytest.fixture
async def world(database_url: str, slack: Slack) -> AsyncIterator[World]:
    """A notifier with its channel of settings, beside incidents in one database."""
    allowed: set[str] = set()
    settings = PostgresSettings(postgres_url=SecretStr(database_url))
    async with open_pool(settings, "notifier", Health()) as pool, make_client(allowed) as client:
        await migrate(pool, "notifier", read_migrations("sentryml_notifier"))
        world = World(pool, slack, client, allowed)
        await world.open_channel()
        yield world


@pytest.fixture
def context(world: World) -> NotifierContext:
    """What the notifier's routes need."""
    made, _ = make_context(world)
    made.internal_secret = SECRET
    return made


@dataclass
class Audits:
    """Looks at the ledger, as the auditor would have made them."""

    context: NotifierContext

    def keep(self, *findings: Finding, without_route: int = 0, ago: timedelta = timedelta(seconds=3)) -> None:
        self.context.keep_audit(Audit(self.context.clock() - ago, findings, without_route))


@pytest.fixture
def audits(context: NotifierContext) -> Audits:
    return Audits(context)


@pytest.fixture
async def notifier(world: World, context: NotifierContext, clock: StillClock) -> AsyncIterator[Notifier]:
    """The way from the pages to the notifier."""
    app = create_app(context)
    install_problems(app)
    clock.now = world.clock.now
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=True)) as client:
        yield Notifier("http://notifier", SECRET, client, world.clock)


@pytest.fixture
async def admin(signed_in: SignedIn) -> httpx.AsyncClient:
    return await signed_in("ada", Role.ADMIN)


def context_of(browser: httpx.AsyncClient) -> Context:
    """What the pages in a browser are made from."""
    transport: Any = browser._transport
    found: Context = transport.app.state.incidents
    return found


async def make_ops(admin: httpx.AsyncClient, **more: str) -> httpx.Response:
    """The page of a new channel, ops."""
    data = {"kind": "slack_webhook", "name": "ops", "secret.url": WEBHOOK, **more}
    return await submit(admin, "/alerts/channels/new", "/alerts/channels/make", **data)


async def make_route(admin: httpx.AsyncClient, channel_id: object, /, **more: object) -> httpx.Response:
    data = {"name": "fraud", "channel_id": str(channel_id), "models": "fraud-* risk-?", "enabled": "true"} | more
    return await submit(admin, "/alerts/routes/new", "/alerts/routes/make", **data)


async def test_viewers_read_everything_and_may_do_nothing(reader: httpx.AsyncClient, world: World) -> None:
    answer = await reader.get("/alerts")
    assert "slack Slack, by incoming webhook ✓ working 0 in SENTRYML_SLACK_WEBHOOK_URL none" in text_of(answer)
    assert "slack system alerts all" in text_of(answer)
    for button in ("Send a test", "Add route", "Add channel"):
        assert button not in text_of(answer)
    channel = text_of(await reader.get(f"/alerts/channels/{world.channel.channel_id}"))
    assert "Test messages are sent by responders and admins" in channel
    route_id = await world.pool.fetchval("SELECT route_id FROM route")
    route = await reader.get(f"/alerts/routes/{route_id}")
    assert "Routes are changed by admins" in text_of(route)
    assert ("disabled" in route.text, "<button>Change" in route.text) == (True, False)
    assert (await reader.get("/alerts/channels/new")).status_code == 403


async def test_a_test_message_tells_what_became_of_it(signed_in: SignedIn, world: World) -> None:
    page = f"/alerts/channels/{world.channel.channel_id}"
    ben = await signed_in("ben", Role.RESPONDER)
    found = text_of(await submit(ben, page, f"{page}/test"))
    assert re.search(r"✓ Test message delivered in [\d.]+ s: Accepted by Slack. Look for it there", found)
    assert world.slack.titles == ["⚪ Test message · no alert"]
    world.slack.play(Script(status=404, body="no_service"))
    found = text_of(await submit(ben, page, f"{page}/test"))
    assert "✕ Test message not delivered, after" in found
    assert "put it into SENTRYML_SLACK_WEBHOOK_URL" in found
    assert "ben sent a test message to slack" in text_of(await ben.get("/alerts/changes"))


async def test_a_route_is_made_changed_and_removed(admin: httpx.AsyncClient, world: World) -> None:
    made = text_of(
        await make_route(
            admin, world.channel.channel_id, least_severity="critical", kinds=["opened", "resolved"],
            remind_after_minutes="7.5", remind_times="2",
        )
    )  # fmt: skip
    assert "fraud fraud-*, risk-? ▲ critical opened, resolved slack after 7 min 30 s, 2 × at most" in made
    assert "ada added the route fraud" in made
    route_id = await world.pool.fetchval("SELECT route_id FROM route WHERE name = 'fraud'")
    page = f"/alerts/routes/{route_id}"
    form = (await admin.get(page)).text
    assert ('value="7.5"' in form, "fraud-* risk-?</textarea>" in form) == (True, True)
    data = {"name": "fraud", "channel_id": str(world.channel.channel_id), "models": "fraud-*"}
    changed = text_of(await submit(admin, page, f"{page}/change", seen="1", **data))
    assert "enabled: yes → no" in changed
    assert "fraud off fraud-* △ warn all alerts slack no" in changed
    late = await submit(admin, page, f"{page}/change", seen="1", **data | {"models": "late-*"})
    assert (late.status_code, "late-*</textarea>" in late.text) == (412, True)
    assert "has changed since you opened it, and nothing was done" in text_of(late)
    assert "ada removed the route fraud" in text_of(await submit(admin, page, f"{page}/remove", seen="2"))
    assert (await admin.get(page)).status_code == 404


async def test_the_check_of_a_route_says_until_when_an_alert_would_be_held(
    admin: httpx.AsyncClient, world: World
) -> None:
    await make_route(admin, world.channel.channel_id, hold_hours="daily 22:00-06:00")
    found = text_of(await admin.get("/alerts?model=fraud-card&severity=warn"))
    assert "fraud to slack. Taken: model, severity and kind match. Held until 06:00:00 UTC" in found
    assert "Held until" not in text_of(await admin.get("/alerts?model=fraud-card&severity=critical"))


async def test_a_route_shows_when_it_holds(admin: httpx.AsyncClient, world: World) -> None:
    what = {
        "time_zone": "Europe/Berlin",
        "hold_hours": "mon-fri 18:00-08:00\nsat,sun 08:00-08:00",
        "hold_windows": "2026-12-24 18:00 to 2026-12-27 08:00 for fraud-*",
        "slack_group_critical": "S0123456789",
        "weekly_summary": "mon 09:00",
    }
    made = text_of(await make_route(admin, world.channel.channel_id, **what))
    assert "fraud holds mon-fri 18:00-08:00; sat,sun 08:00-08:00; 2026-12-24 18:00 to 2026-12-27 08:00" in made
    form = (await admin.get(f"/alerts/routes/{await world.pool.fetchval(ROUTE)}")).text
    for value in what.values():
        assert value in form
    folds = re.findall(r'<details class="part"( open)?>\s*<summary>([\w ]+?) <span', form)
    assert ("", "Steps") in folds, "what is as by default stays folded"
    assert {title for is_open, title in folds if is_open} >= {"Hold", "Weekly summary", "Mention in Slack"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"models": "fraud/*"}, "Models: patterns hold letters, digits"),
        ({"remind_after_minutes": "1"}, "Remind after: from 5 minutes to 7 days"),
        ({"remind_after_minutes": "soon"}, "Remind after: from 5 minutes to 7 days"),
        ({"remind_times": "0"}, "Maximum number of reminders: a whole number"),
        ({"kinds": ["resolved"]}, "Kinds: names no alerting kind"),
        ({"channel_id": "nonsense"}, "Channel: choose one of the channels"),
        ({"name": "slack"}, "That name is taken"),
        ({"time_zone": "Europe/Bielefeld"}, "Time zone: a name of the IANA database"),
        ({"hold_hours": "at night"}, "Hours of the week: hours are written like “mon-fri 18:00-08:00”"),
        ({"hold_windows": "2026-12-24 18:00 to 2026-12-23 18:00"}, "Planned windows: the window ends before it begins"),
        ({"weekly_summary": "mondays"}, "Weekly summary: a day and a time, such as mon 09:00"),
        ({"slack_group_critical": "@oncall"}, "Mention for critical alerts: the id of a user group"),
    ],
)
async def test_a_route_that_cannot_be_comes_back_with_what_was_entered(
    admin: httpx.AsyncClient, world: World, wrong: dict[str, object], says: str
) -> None:
    answer = await make_route(admin, world.channel.channel_id, **{"models": "kept-*", **wrong})
    assert answer.status_code in {409, 422}
    assert says in text_of(answer)
    assert ("kept-*" in answer.text) is ("models" not in wrong)
    assert await world.pool.fetchval("SELECT count(*) FROM route") == 1


async def test_where_an_alarm_would_go_is_said(admin: httpx.AsyncClient, world: World) -> None:
    await make_route(admin, world.channel.channel_id, least_severity="critical")
    found = text_of(await admin.get("/alerts?model=fraud-card&severity=warn"))
    assert "This would go to slack." in found
    assert "fraud to slack. Not taken: the route is for more severe alerts." in found
    assert "slack to slack. Taken: model, severity and kind match." in found
    odd = await admin.get("/alerts?model=fraud/card")
    assert (odd.status_code, "name has letters, digits and" in text_of(odd)) == (422, True)


async def test_a_secret_is_on_no_page_and_in_no_log(
    admin: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await make_ops(admin)
    page = str(made.url.path)
    answers = [
        made,
        await make_ops(admin, **{"settings.burst": "none at all"}),
        await make_ops(admin, name=WEBHOOK),
        await make_ops(admin, **{"settings.messages_per_second": WEBHOOK}),
        await make_ops(admin, kind="slack_bot", **{"settings.channel": WEBHOOK, "secret.token": WEBHOOK}),
        await submit(admin, page, f"{page}/change", **{"name": "slack", "secret.url": WEBHOOK}),
        await submit(admin, page, f"{page}/change", **{"name": "x", "secret.url": WEBHOOK.replace("https", "http")}),
        await make_route(admin, world.channel.channel_id, name=WEBHOOK, models=WEBHOOK),
        *[await admin.get(path) for path in ("/alerts", "/alerts/changes", "/alerts/deliveries", page)],
    ]
    assert [answer.status_code for answer in answers[1:8]] == [422] * 7
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capsys.readouterr())
    # Who puts it into a search has it in the address of the page, and nowhere on it.
    answers.append(await admin.get("/alerts/deliveries", params={"channel": WEBHOOK, "model": WEBHOOK}))
    answers.append(await admin.get("/alerts", params={"model": WEBHOOK}))
    for answer in answers:
        assert TOKEN not in answer.text, answer.url


async def test_what_is_undeliverable_comes_first_and_can_be_retried(signed_in: SignedIn, world: World) -> None:
    world.slack.play(ARCHIVED)
    await world.take_in(opened_critical(incident=1), opened_warn(incident=2))
    await world.dispatch()
    ben = await signed_in("ben", Role.RESPONDER)
    found = text_of(await ben.get("/alerts"))
    assert "✕ The channel slack is broken." in found
    assert "Undeliverable: 2 messages" in found
    undeliverable = await ben.get("/alerts/deliveries?state=undeliverable")
    assert "HTTP 410" in text_of(undeliverable)
    assert text_of(undeliverable).count("Try again now") == 2
    delivery_id = await world.pool.fetchval("SELECT delivery_id FROM delivery WHERE attempts > 0")
    after = text_of(await submit(ben, "/account", f"/alerts/deliveries/{delivery_id}/retry", back="undeliverable"))
    assert "Nothing is undeliverable." in after
    assert await world.dispatch() == 2
    found = text_of(await ben.get("/alerts/deliveries"))
    assert len(re.findall(r"Slack ?: delivered after", found)) == 2
    assert "Try again now" not in found
    again = await submit(ben, "/account", f"/alerts/deliveries/{delivery_id}/retry")
    assert (again.status_code, "it has been delivered" in text_of(again).lower()) == (409, True)
    assert "ben retried the delivery for incident #" in text_of(await ben.get("/alerts/changes"))


async def test_deliveries_are_filtered_and_paged(reader: httpx.AsyncClient, world: World) -> None:
    await world.take_in(*(opened_critical(incident=number) for number in range(1, 33)))
    first = await reader.get("/alerts/deliveries?state=waiting&channel=slack&model=flights-delay")
    assert first.text.count('class="delivery-waiting"') == 30
    older = first.text.partition("cursor=")[2].partition('"')[0]
    second = await reader.get(f"/alerts/deliveries?state=waiting&channel=slack&model=flights-delay&cursor={older}")
    assert second.text.count('class="delivery-waiting"') == 2
    for query in ("state=delivered", "channel=nobody", "model=other"):
        assert "No matching delivery." in text_of(await reader.get(f"/alerts/deliveries?{query}"))
    odd = await reader.get("/alerts/deliveries?cursor=nonsense")
    assert (odd.status_code, "not a page of this list" in text_of(odd)) == (422, True)


async def test_without_any_channel_the_page_says_how_to_begin(admin: httpx.AsyncClient, world: World) -> None:
    await world.pool.execute("DELETE FROM route")
    await world.pool.execute("DELETE FROM channel")
    found = text_of(await admin.get("/alerts"))
    assert "No channel yet: nobody is notified." in found
    assert "SENTRYML_SLACK_WEBHOOK_URL" in found
    assert "Add channel" in found


@pytest.fixture
def away() -> Notifier:
    """The way to a notifier that nobody finds."""
    return Notifier("http://127.0.0.1:1", SECRET, http_client())


async def test_without_the_notifier_the_page_says_what_is_lost_and_the_rest_goes_on(
    admin: httpx.AsyncClient, notifier: Notifier, away: Notifier
) -> None:
    context = context_of(admin)
    context.notifier = away
    for path in ("/alerts", "/alerts/deliveries", "/alerts/changes", "/alerts/channels/new", "/alerts/routes/new"):
        answer = await admin.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "Nothing is lost." in text_of(answer)
        assert "it does not answer (ConnectError)" in text_of(answer)
    assert (await admin.get("/incidents")).status_code == 200
    sent = await make_route(admin, "x")
    assert (sent.status_code, "The notifier does not answer" in text_of(sent)) == (503, True)
    context.notifier = replace(notifier, secret=SecretStr("x" * 32))
    assert "give all services the same SENTRYML_INTERNAL_SECRET" in text_of(await admin.get("/alerts"))
    context.notifier = replace(notifier, secret=None)
    assert "SENTRYML_INTERNAL_SECRET is not set here" in text_of(await admin.get("/alerts"))
    context.notifier = notifier
    assert (await admin.get("/alerts")).status_code == 200


async def test_an_audit_says_whether_every_alert_is_accounted_for(reader: httpx.AsyncClient, audits: Audits) -> None:
    assert "accounted for" not in text_of(await reader.get("/alerts"))
    audits.keep()
    assert "✓ Every alert is accounted for" in text_of(await reader.get("/alerts"))
    audits.keep(without_route=2)
    assert "✕ 2 alerts in the last day had no route: nobody was notified." in text_of(await reader.get("/alerts"))
    audits.keep(Finding(Fault.ORPHANED, "slack", "3 deliveries wait for it to be fixed, but it works"))
    found = text_of(await reader.get("/alerts"))
    assert "✕ slack: 3 deliveries wait for it to be fixed, but it works" in found
    assert "✓ Every alert" not in found
    audits.keep(ago=timedelta(minutes=10))
    assert "were last audited 10 min ago" in text_of(await reader.get("/alerts"))


async def test_every_address_in_these_pages_is_there(admin: httpx.AsyncClient, world: World) -> None:
    made = await make_ops(admin)
    await make_route(admin, made.url.path.rpartition("/")[2])
    route_id = await world.pool.fetchval("SELECT route_id FROM route WHERE name = 'fraud'")
    ours = ("/alerts", "/alerts/changes", "/alerts/deliveries", "/alerts/channels/new", "/alerts/routes/new")
    seen: set[str] = set()
    for path in (*ours, made.url.path, f"/alerts/routes/{route_id}"):
        page = await admin.get(path)
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.text):
            seen.add(
                str(httpx.URL(f"http://sentryml.test{path}").join(link.replace("&amp;", "&")).copy_with(fragment=None))
            )
    assert f"http://sentryml.test/alerts/routes/{route_id}" in seen
    for address in sorted(seen):
        assert (await admin.get(address)).status_code == 200, address


async def test_system_alerts_are_shown_while_they_last_and_when_they_are_over(
    reader: httpx.AsyncClient, world: World
) -> None:
    subject = Subject(SystemFault.INPUT_STALLED)
    found = rules.Finding(subject, world.clock(), "What is sent is not counted.")
    async with transaction(world.pool) as connection:
        assert await begin(connection, found, world.clock())
    text = text_of(await reader.get("/alerts"))
    assert (
        "✕ SentryML: predictions are not counted. What is sent is not counted. Since 23 Nov 2026, 02:15:01 UTC" in text
    )
    async with transaction(world.pool) as connection:
        assert await end(connection, subject, world.clock())
    text = text_of(await reader.get("/alerts"))
    assert "System alerts that are over SentryML: predictions are not counted: 23 Nov 2026, 02:15:01 UTC to" in text


async def test_admin_sends_system_alerts_to_another_route(admin: httpx.AsyncClient, world: World) -> None:
    await make_route(admin, world.channel.channel_id)
    await world.pool.execute("UPDATE route SET system = false")
    assert "No route takes system alerts: nobody is notified" in text_of(await admin.get("/alerts"))
    await make_route(admin, world.channel.channel_id, name="ops", system="true")
    shown = text_of(await admin.get("/alerts"))
    assert "No route takes system alerts" not in shown
    assert "ops system alerts fraud-*" in shown


async def test_links_to_this_machine_are_warned_of(
    reader: httpx.AsyncClient, browser_with: MakeBrowser, pool: Pool, clock: StillClock
) -> None:
    assert "Links in messages begin with" not in text_of(await reader.get("/alerts"))
    at_home = browser_with(public_url="http://127.0.0.1:8080")
    await begin_session(pool, at_home, await add_user(pool, "ben", Role.VIEWER), clock.now)
    text = text_of(await at_home.get("/alerts"))
    assert "△ Links in messages begin with http://127.0.0.1:8080, which leads to each" in text

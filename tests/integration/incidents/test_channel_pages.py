"""The forms of channels on a real notifier, whose kinds describe themselves."""

from __future__ import annotations

import re
from typing import Any, cast

import httpx
import pytest
from pydantic import Field, SecretStr

from sentryml_notifier.channels.base import Channel, Config, Identity, Kind, Tools
from sentryml_notifier.channels.kinds import KINDS
from tests.integration.incidents.test_alert_pages import (
    ARCHIVED,
    WEBHOOK,
    admin,
    context,
    make_ops,
    notifier,
    world,
)
from tests.integration.incidents.test_pages import text_of
from tests.integration.notifier.conftest import World, slack
from tests.support.signing_in import submit

__all__ = ["admin", "context", "notifier", "slack", "world"]


async def test_a_channel_is_made_changed_and_removed(admin: httpx.AsyncClient, world: World) -> None:
    made = await make_ops(admin)
    assert "…/B0…/****" in text_of(made)
    page = str(made.url.path)
    before = await world.pool.fetchrow("SELECT * FROM channel WHERE name = 'ops'")
    assert before is not None
    data = {"name": "ops 2", "settings.messages_per_second": "0.5", "settings.burst": "2", "secret.url": ""}
    assert "ops 2" in text_of(await submit(admin, page, f"{page}/change", **data))
    after = await world.pool.fetchrow("SELECT * FROM channel WHERE name = 'ops 2'")
    assert after is not None
    assert (after["settings"], after["secret"]) == ({"messages_per_second": 0.5, "burst": 2}, before["secret"])
    await submit(admin, page, f"{page}/change", **data | {"secret.url": WEBHOOK.replace("B000", "B111")})
    assert await world.pool.fetchval("SELECT secret_hint FROM channel WHERE name = 'ops 2'") == "…/B1…/****"
    fallback = await submit(admin, page, f"{page}/fallback", fallback=str(world.channel.channel_id))
    assert "Fallback while it is broken slack" in text_of(fallback)
    gone = text_of(await submit(admin, page, f"{page}/remove"))
    assert ("ada removed the channel ops 2" in gone, "ops 2 Slack" in gone) == (True, False)
    assert (await admin.get(page)).status_code == 404


async def test_the_checklist_says_how_far_alerts_get(admin: httpx.AsyncClient, world: World) -> None:
    async def says() -> str:
        return text_of(await admin.get("/models"))

    channel = f"/alerts/channels/{world.channel.channel_id}"
    assert "nothing was delivered yet: send a test message to it. Send a test message" in await says()
    world.slack.play(ARCHIVED)
    await submit(admin, channel, f"{channel}/test")
    assert "nothing was delivered yet" in await says()
    await submit(admin, channel, f"{channel}/test")
    assert "A channel that delivers (done) Alerts are delivered." in await says()
    await world.pool.execute("UPDATE channel SET state = 'broken', broken_reason = 'gone'")
    assert "Its channel is broken; it says why, and what to do. See what is wrong" in await says()
    await world.pool.execute("DELETE FROM route")
    assert "no route leads to it: nobody is notified. Add a route" in await says()


FORMS = {
    "slack_bot": {"settings.channel": "C0ALERTS", "secret.token": "xoxb-1-2-abc"},
    "webhook": {"secret.url": "https://example.org/hook", "secret.signing_secrets": f"whsec_{'QUJD' * 8}"},
    "pagerduty": {"settings.region": "eu", "settings.url": "", "secret.routing_key": "A1" * 16},
    "alertmanager": {
        "settings.urls": "https://a.example.org https://b.example.org", "settings.labels": "team=ml, env=prod",
        "settings.resend_seconds": "60",
    },
    "teams": {"settings.messages_per_second": "1", "settings.burst": "3", "secret.url": "https://example.org/workflow"},
    "discord": {
        "settings.messages_per_second": "0.5", "settings.burst": "4",
        "secret.url": "https://discord.com/api/webhooks/1/abc",
    },
    "email": {
        "settings.host": "mail.example.org", "settings.port": "587", "settings.tls": "starttls",
        "settings.sender": "a@example.org", "settings.recipients": "b@example.org, c@example.org",
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
async def test_each_kind_of_channel_can_be_made(admin: httpx.AsyncClient, world: World, kind: str) -> None:
    assert (await admin.get(f"/alerts/channels/new?kind={kind}")).status_code == 200
    made = await make_ops(admin, kind=kind, **FORMS[kind])
    assert made.status_code == 200, text_of(made)
    row = await world.pool.fetchrow("SELECT kind, settings FROM channel WHERE name = 'ops'")
    assert row is not None
    assert row["kind"] == kind
    if kind == "email":
        assert row["settings"]["recipients"] == ["b@example.org", "c@example.org"]
        again = await admin.get(made.url.path)
        assert 'value="b@example.org c@example.org"' in again.text


class Loft(Config):
    """What a kind that only this test knows needs."""

    place: str = Field(pattern="^roof", title="Loft", description="where it flies to", examples=["roof 3"])
    by_night: bool = Field(False, title="By night")


class Home(Config):
    """Its secret."""

    address: SecretStr = Field(title="Where it lives")


def fly(tools: Tools, identity: Identity, settings: Loft, secret: Home) -> Channel:
    """It arrives where a webhook would."""
    return KINDS["slack_webhook"].opened(tools, identity, {}, {"url": secret.address.get_secret_value()})


PIGEON = Kind(
    "pigeon", "Carrier pigeon", "Slow, and needs seed.", Loft, Home, fly, lambda _: "by air", threads=True
)  # fmt: skip


async def test_a_new_kind_of_channel_has_a_form_and_can_be_saved(
    admin: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is registered in the notifier alone: the pages know no kind."""
    monkeypatch.setitem(cast(dict[str, Any], KINDS), "pigeon", PIGEON)
    assert "Carrier pigeon" in text_of(await admin.get("/alerts/channels/new"))
    form = await admin.get("/alerts/channels/new?kind=pigeon")
    assert "Slow, and needs seed. One conversation per incident." in text_of(form)
    assert "Loft (where it flies to)" in text_of(form)
    assert re.search(r'name="settings.place" value="" [^>]*placeholder="roof 3" required', form.text)
    assert '<input id="secret.address" name="secret.address" type="password"' in form.text
    entered = {"settings.place": "cellar", "settings.by_night": "true", "secret.address": world.slack.address}
    odd = await make_ops(admin, kind="pigeon", **entered)
    assert odd.status_code == 422
    assert "see the marked fields" in text_of(odd)
    assert re.search(r'value="cellar"[^>]*aria-invalid="true" aria-describedby="settings.place-wrong"', odd.text)
    assert re.search(r'id="settings.place-wrong">.*String should match pattern', odd.text)
    made = await make_ops(admin, kind="pigeon", **entered | {"settings.place": "roof 1"})
    row = await world.pool.fetchrow("SELECT kind, settings, secret FROM channel WHERE name = 'ops'")
    assert row is not None
    assert (row["kind"], row["settings"]) == ("pigeon", {"place": "roof 1", "by_night": True})
    page = made.url.path
    changed = await submit(admin, page, f"{page}/change", name="ops", **{"settings.place": "roof 2"})
    after = await world.pool.fetchrow("SELECT settings, secret FROM channel WHERE name = 'ops'")
    assert after is not None
    assert (after["settings"], after["secret"]) == ({"place": "roof 2"}, row["secret"])
    assert ("Kind Carrier pigeon" in text_of(changed), "Secret by air" in text_of(changed)) == (True, True)
    assert 'value="roof 2"' in changed.text
    tested = await submit(admin, page, f"{page}/test")
    assert "Test message delivered" in text_of(tested)
    for answer in (odd, made, changed, tested, await admin.get("/alerts")):
        assert world.slack.address not in answer.text

"""Where alerts went, on the pages: under their step of the timeline, and above the list what is undeliverable."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid5

import httpx

from sentryml_common.contracts.delivery import Attempt
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.consumers.deliveries import DeliveryConsumer
from tests.integration.incidents.conftest import Life, StillClock, register
from tests.integration.incidents.test_pages import numbers_of, text_of
from tests.unit.incidents.builders import IDS, MODEL, a_delivery, at, quick

ARCHIVED = "This Slack channel is archived. Unarchive it, or make a new webhook."
BUSY = Attempt(at=at(1), outcome="rate_limited", reason="rate_limited", text="Slack asked.", http_status=429)


async def tell(pool: Pool, state: str = "delivered", number: int = 1, sequence: int = 1, **changes: Any) -> None:
    """What has become of the alert of one step of an incident."""
    row = await pool.fetchrow(
        """
        SELECT transition_id, incident_id, transition.sequence, kind, transition.model_id, at AS happened_at
          FROM transition JOIN incident USING (incident_id)
         WHERE incident_number = $1 AND transition.sequence = $2
        """,
        number, sequence,
    )  # fmt: skip
    assert row is not None
    where = changes.get("channel", "slack")
    reported = dict(row) | {"delivery_id": uuid5(IDS, f"{number}/{sequence}/{where}")} | changes
    await DeliveryConsumer(pool).take_all([a_delivery(state, **reported)])


async def test_each_step_says_where_its_alert_went(
    reader: httpx.AsyncClient, life: Life, pool: Pool, clock: StillClock
) -> None:
    await life.sees("warn", "critical", "ok", "warn", "critical")
    clock.now = at(10)
    await tell(pool)
    await tell(pool, "parked", sequence=2, text=ARCHIVED)
    await tell(
        pool, "pending", sequence=3, attempts=1, text="Slack asked.", due_at=at(20), latest_attempts=(BUSY,)
    )  # fmt: skip
    await tell(pool, "no_route", sequence=4, text="No route takes this alert.")
    text = text_of(await reader.get("/incidents/1"))
    lines = [
        "The notifier has not reported yet where this was sent.",
        "Nobody was notified. No route takes this alert.",
        "Slack : waiting: rate-limited by Slack until 09:35:00 UTC",
        f"Slack : undeliverable: {ARCHIVED}",
        "Slack : delivered after 1.2 s",
    ]
    places = [text.index(line) for line in lines]
    assert places == sorted(places), "newest step first"
    headings = [
        text.index(step) for step in ("Reopened as warn", "Resolved", "Escalated to critical", "Opened as warn")
    ]
    assert all(above < place for above, place in zip(headings, places[1:], strict=True))
    assert text.index("1 message undeliverable ✕ 1 alert had no route") < places[0], "said above, too"


async def test_attempts_are_folded_and_times_are_exact(
    reader: httpx.AsyncClient, life: Life, pool: Pool, clock: StillClock
) -> None:
    await life.sees("critical")
    clock.now = at(10)
    sent = a_delivery().latest_attempts
    await tell(pool, attempts=2, latest_attempts=(BUSY, *sent))
    page = await reader.get("/incidents/1")
    folded = re.search(r"<details>(.*)</details>", page.text, re.DOTALL)
    assert folded is not None, "closed until it is opened"
    summary, _, inside = folded[1].partition("</summary>")
    assert "2 attempts" in summary
    assert 'title="2026-11-23 09:15:01 UTC">delivered after 1.2 s</time>' in summary
    assert 'title="2026-11-23 09:16:00 UTC">09:16:00 UTC</time>: Slack asked.' in inside
    assert inside.index("Slack asked.") < inside.index("Accepted by Slack.")
    assert "HTTP 429" in inside
    assert "Older attempts are left out" not in inside
    await tell(pool, revision=3, attempts=21, latest_attempts=(BUSY,) * 20)
    assert "Older attempts are left out." in (await reader.get("/incidents/1")).text


async def test_a_quiet_step_says_nothing_about_deliveries(
    reader: httpx.AsyncClient, life: Life, api: httpx.AsyncClient
) -> None:
    await life.sees("critical")
    await api.post("/v1/incidents/1/acknowledge")
    text = text_of(await reader.get("/incidents/1"))
    assert text.count("The notifier has not reported yet") == 1, "of the opening alone"


async def test_several_channels_are_distinguished_and_strangers_words_are_text(
    reader: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    attack = "<script>alert(1)</script>"
    await life.sees("critical")
    await tell(pool)
    await tell(pool, "parked", channel=attack, channel_kind="webhook", route=attack, text=attack, attempts=1,
               latest_attempts=(BUSY.model_copy(update={"text": attack}),))  # fmt: skip
    answer = await reader.get("/incidents/1")
    assert "<script>" not in answer.text
    assert answer.text.count("&lt;script&gt;") >= 4
    assert "Slack : delivered after" in text_of(answer)


async def test_the_list_counts_what_is_undeliverable_and_leads_there(
    reader: httpx.AsyncClient, life: Life, pool: Pool
) -> None:
    for model_id in ("a", "b"):
        await register(pool, model_id, quick())
        await Life(pool, model_id=model_id).sees("warn", "critical")
    await life.sees("critical")
    assert "somebody was not notified" not in text_of(await reader.get("/incidents"))
    await tell(pool, "parked", number=1, sequence=1, text=ARCHIVED)
    await tell(pool, number=2)
    assert "1 message is undeliverable , about 1 incident: somebody was not notified" in text_of(
        await reader.get("/incidents")
    )
    await tell(pool, "parked", number=1, sequence=2, text=ARCHIVED)
    await tell(pool, "parked", number=3, text=ARCHIVED)
    page = await reader.get("/incidents?state=open")
    link = re.search(
        r'<a href="\./(incidents\?undeliverable[^"]*)">3 messages are undeliverable</a>,\s+about 2 incidents', page.text
    )
    assert link is not None
    undeliverable = await reader.get(f"/{link[1]}")
    assert numbers_of(undeliverable) == [3, 1]
    for number, sequence in ((1, 1), (1, 2), (3, 1)):
        await tell(pool, number=number, sequence=sequence, revision=3)
    assert "No message is undeliverable." in (await reader.get(f"/{link[1]}")).text
    assert MODEL in (await reader.get("/incidents")).text

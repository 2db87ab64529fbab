"""A person's word about what is normal, through the real application on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.message import decode
from sentryml_common.contracts.monitor import Monitor
from sentryml_common.contracts.topics import MONITORS
from sentryml_common.postgres.pool import Pool
from sentryml_incidents.domain.roles import Role
from tests.integration.incidents.conftest import Life, MakeClient, SignedIn, StillClock
from tests.integration.incidents.test_actions import INCIDENT, timeline
from tests.integration.incidents.test_pages import text_of
from tests.integration.incidents.test_relay import Log, relay
from tests.integration.incidents.test_rest import problem
from tests.support.signing_in import submit
from tests.unit.incidents.builders import MODEL, at

NORMAL_TIME = f"/v1/models/{MODEL}/monitor"


async def published(pool: Pool) -> list[Monitor]:
    log = Log(random.Random(1))
    await relay(pool, log).publish_all()
    return [decode(Monitor, record.value) for record in log.of(MONITORS)[MODEL]]


async def test_accepting_a_new_normal_is_published_kept_and_on_the_timeline(
    api: httpx.AsyncClient, life: Life, pool: Pool, clock: StillClock
) -> None:
    await life.sees("critical", "critical")
    clock.now = at(5)
    answer = await api.post(f"{INCIDENT}/accept", json={"note": "the new campaign"})
    assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert answer.json()["undo_until"] == "2026-11-30T09:20:00Z"
    assert answer.json()["allowed"] == ["note", "undo"]
    last = (await timeline(api))[-1]
    assert (last["kind"], last["cause"], last["alert"]) == ("closed", "new_normal", True)
    assert (last["note"], last["actor"]["name"]) == ("the new campaign", "ana's key")
    evidence = (await api.get(f"{INCIDENT}/evidence")).json()["items"]
    assert {each["role"] for each in evidence} == {"opened", "peak", "accepted"}
    monitors = await published(pool)
    assert [each.version for each in monitors] == [1, 1, 1], "no new version of the monitor"
    assert [each.normal_time.revision for each in monitors] == [0, 1, 2]
    assert (monitors[-1].normal_time.since, monitors[-1].normal_time.excluded) == (at(1), ())
    again = await api.post(f"{INCIDENT}/accept")
    assert (again.status_code, again.json()["sequence"]) == (200, answer.json()["sequence"])


async def test_of_two_answers_at_once_one_wins_and_the_other_is_refused(
    client_with: MakeClient, life: Life, clock: StillClock
) -> None:
    """Each has seen the incident live; on two connections."""
    await life.sees("critical", "critical")
    clock.now = at(5)
    ana, ben = await client_with(Scope.WRITE, name="ana"), await client_with(Scope.WRITE, name="ben")
    seen = {"If-Match": (await ana.get(INCIDENT)).headers["ETag"]}

    async def at_once(first: str, second: str) -> list[httpx.Response]:
        both = await asyncio.gather(
            ana.post(f"{INCIDENT}/{first}", headers=seen),
            ben.post(f"{INCIDENT}/{second}", headers=seen, json={"note": "why"}),
        )
        assert sorted(answer.status_code for answer in both) == [200, 412], [answer.text for answer in both]
        return sorted(both, key=lambda answer: answer.status_code)

    accepts, undoes = ("accept", "accept"), ("undo", "undo")
    for first, second in (accepts, undoes, accepts, undoes, ("accept", "was-normal")):
        won, lost = await at_once(first, second)
        assert lost.json()["incident"]["sequence"] == won.json()["sequence"]
        seen = {"If-Match": (await ana.get(INCIDENT)).headers["ETag"]}
        assert seen["If-Match"] == won.headers["ETag"]


async def test_an_undo_at_once_with_an_acceptance_leaves_what_the_later_of_them_says(
    client_with: MakeClient, life: Life, pool: Pool, clock: StillClock
) -> None:
    await life.sees("critical", "critical")
    clock.now = at(5)
    ana, ben = await client_with(Scope.WRITE, name="ana"), await client_with(Scope.WRITE, name="ben")
    for _ in range(5):
        assert (await ana.post(f"{INCIDENT}/accept")).status_code == 200
        before = (await ana.get(NORMAL_TIME)).json()["normal_time"]["revision"]
        both = await asyncio.gather(ana.post(f"{INCIDENT}/undo"), ben.post(f"{INCIDENT}/accept"))
        assert [answer.status_code for answer in both] == [200, 200]
        last = (await timeline(ana))[-1]
        normal = (await ana.get(NORMAL_TIME)).json()["normal_time"]
        # To accept what is still accepted changes nothing.
        undone_last = last["cause"] != "new_normal"
        assert normal["revision"] == before + (1 if undone_last else 2)
        assert (normal["since"] is None) == undone_last
        assert (await ana.get(INCIDENT)).json()["state"] == ("open" if undone_last else "closed")
    assert [each.normal_time.revision for each in await published(pool)][-1] == normal["revision"]


async def test_a_new_normal_begins_when_the_person_says_so(
    api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical", "critical")
    clock.now = at(5)
    for since in (at(0), at(6)):
        refused = await api.post(f"{INCIDENT}/accept", json={"since": since.isoformat()})
        assert (
            "from its opening or a later time that has passed" in (await problem(refused, 409, "not-allowed"))["detail"]
        )
    assert (await api.post(f"{INCIDENT}/accept", json={"since": at(3).isoformat()})).status_code == 200
    assert (await api.get(NORMAL_TIME)).json()["normal_time"]["since"] == "2026-11-23T09:18:00Z"


async def test_what_was_normal_is_undone_and_then_it_is_too_late(
    api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical")
    clock.now = at(5)
    before = (await api.get(NORMAL_TIME)).json()["normal_time"]
    assert (await api.post(f"{INCIDENT}/was-normal")).json()["state"] == "closed"
    assert (await api.get(NORMAL_TIME)).json()["normal_time"]["excluded"] == []
    undone = await api.post(f"{INCIDENT}/undo")
    assert (undone.status_code, undone.json()["state"], undone.json()["undo_until"]) == (200, "open", None)
    after = (await api.get(NORMAL_TIME)).json()["normal_time"]
    assert after == before | {"revision": before["revision"] + 2}
    assert [step["kind"] for step in await timeline(api)] == ["opened", "closed", "reopened"]
    await api.post(f"{INCIDENT}/was-normal")
    clock.now = at(5 + 8 * 24 * 60)
    refused = await problem(await api.post(f"{INCIDENT}/undo"), 409, "not-allowed")
    assert "for 7 days, until another incident opens" in refused["detail"]


@pytest.mark.parametrize("button", ["accept", "was-normal"])
async def test_the_page_has_the_buttons_and_says_until_when_it_can_be_undone(
    signed_in: SignedIn, life: Life, clock: StillClock, button: str
) -> None:
    await life.sees("critical")
    clock.now = at(5)
    ana, page = await signed_in("ana", Role.RESPONDER), "/incidents/1"
    assert "Accept as the new normal Ends it" in text_of(await ana.get(page))
    closed = text_of(await submit(ana, page, f"{page}/{button}", seen='"v1"'))
    assert "This closing can be undone until 30 Nov 2026, 09:20:00 UTC, or until another incident opens." in closed
    opened = text_of(await submit(ana, page, f"{page}/undo", seen='"v2"'))
    assert "Reopened" in opened
    assert "Accept as the new normal" in opened

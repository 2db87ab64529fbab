"""A monitor's page: form, preview, switch, versions. Through the real application on a real PostgreSQL."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from sentryml_incidents.domain.roles import Role
from sentryml_incidents.web.view.monitor_form import SETTINGS
from tests.integration.incidents.conftest import Life, SignedIn, StillClock
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import SAME_ORIGIN, submit
from tests.unit.incidents.builders import MODEL, at

PAGE = f"/models/{MODEL}/monitor"
API = f"/v1/models/{MODEL}/monitor"


def fields_of(page: httpx.Response) -> dict[str, Any]:
    """The form as a browser would send it."""
    named = dict(re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)" maxlength', page.text))
    version = re.findall(r'name="version" value="(\d+)"', page.text)[0]
    signals = re.findall(r'name="signals" value="(\w+)" checked', page.text)
    return {name: unescape(text) for name, text in named.items()} | {"signals": signals, "version": version}


async def send(browser: httpx.AsyncClient, what: str, fields: dict[str, Any]) -> httpx.Response:
    return await submit(browser, PAGE, f"{PAGE}/{what}", **fields)


async def test_the_form_holds_every_setting_as_people_type_it(ana: httpx.AsyncClient, life: Life) -> None:
    page = await ana.get(PAGE)
    fields = fields_of(page)
    assert set(fields) == set(SETTINGS) | {"version"}
    assert (fields["baseline_seconds"], fields["min_baseline_coverage"], fields["min_samples"]) == ("7 d", "50 %", "")
    text = text_of(page)
    assert "Default: 10 min, or 10 % of the current window if that is longer." in text
    assert "Never below what chance alone shows" in text


def groups_of(page: httpx.Response) -> dict[str, tuple[bool, str]]:
    """By title of a group that is shown on request: (whether it is open, what is other than by default)."""
    found = re.findall(
        r'<details class="more-settings"( open)?>\s*<summary>(.*?) <span class="quiet">(.*?)</span>', page.text
    )
    return {title: (bool(is_open), changed) for is_open, title, changed in found}


async def test_groups_of_settings_are_folded_until_something_in_them_has_to_be_seen(
    ana: httpx.AsyncClient, life: Life
) -> None:
    page = await ana.get(PAGE)
    how, opens, ends = groups_of(page)
    assert how == "What is compared, and how"
    assert [is_open for is_open, _ in groups_of(page).values()] == [False, False, False]
    assert groups_of(page)[how][1] == "all by default"
    assert "Warnings that open it" in groups_of(page)[opens][1], "the model of these tests confirms at once"
    wrong = groups_of(await send(ana, "save", fields_of(page) | {"bins": "many"}))
    assert wrong[how] == (True, "not default: Bins")
    assert [is_open for is_open, _ in wrong.values()] == [True, False, False]
    named = groups_of(await ana.get(f"{PAGE}?latch_seconds=2+d"))
    assert [is_open for is_open, _ in named.values()] == [False, False, True]
    assert "Quiet after closing" in named[ends][1]


async def test_saving_an_untouched_form_changes_nothing(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    before = (await api.get(API)).json()
    answer = await send(ana, "save", fields_of(await ana.get(PAGE)))
    assert "Nothing was different, so version 1 stays in force." in text_of(answer)
    assert (await api.get(API)).json() == before


async def test_a_saved_change_is_in_force_and_among_the_versions_under_ones_name(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    fields = fields_of(await ana.get(PAGE)) | {"warn": "0,15", "baseline_seconds": "3 days", "signals": ["score"]}
    answer = await send(ana, "save", fields)
    text = text_of(answer)
    assert answer.status_code == 200
    assert "Saved: version 2 is in force" in text
    assert "version 2 Signals: score, prediction → score; Baseline: 7 d → 3 d; Warning from: 0.1 → 0.15 by ana" in text
    monitor = (await api.get(API)).json()
    assert (monitor["version"], monitor["warn"], monitor["baseline_seconds"]) == (2, 0.15, 259_200)
    assert monitor["signals"] == ["score"]
    (newest, _) = (await api.get(f"{API}/versions")).json()["items"]
    assert (newest["actor"]["type"], newest["actor"]["name"]) == ("user", "ana")


async def test_what_does_not_fit_is_said_beside_its_field_and_nothing_entered_is_lost(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    before = (await api.get(API)).json()
    entered = fields_of(await ana.get(PAGE)) | {"warn": "<high>", "every_seconds": "5", "confirm_warn": "7"}
    for what in ("save", "preview"):
        answer = await send(ana, what, entered)
        assert answer.status_code == 422
        text = text_of(answer)
        assert "2 settings are not valid" in text
        assert "Write a number, such as 0.1." in text
        assert "Write the unit too: 5 s, 5 min, 5 h or 5 d." in text
        assert fields_of(answer) == entered
        assert "<high>" not in answer.text
    assert (await api.get(API)).json() == before


async def test_a_preview_that_follows_typing_gives_way_to_what_does_not_fit(ana: httpx.AsyncClient, life: Life) -> None:
    page = await ana.get(PAGE)
    data = fields_of(page) | {"warn": "0.1x"}
    answer = await ana.post(f"{PAGE}/preview", data=data, headers=SAME_ORIGIN)
    assert answer.status_code == 422
    assert "No preview: Warning from: write a number, such as 0.1." in text_of(answer)


async def test_contradictions_are_reported_with_names_and_units(ana: httpx.AsyncClient, life: Life) -> None:
    entered = fields_of(await ana.get(PAGE)) | {"baseline_seconds": "1 h", "warn": "0.4", "resolve_below": "120 %"}
    answer = await send(ana, "save", entered)
    text = text_of(answer)
    assert answer.status_code == 422
    assert "“Current window” (1 d) must not exceed “Baseline” (1 h)" in text
    assert "“Warning from” (0.4) must be below “Critical from” (0.2)" in text
    assert "less than or equal to 100 %" in text
    assert fields_of(answer) == entered


async def test_who_comes_second_sees_both_changes_and_puts_both_in_force(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    entered = fields_of(await ana.get(PAGE)) | {"warn": "0.15", "confirm_warn": "4"}
    assert (await api.put(API, json={"warn": 0.12, "critical": 0.5})).status_code == 200
    for what in ("preview", "save"):
        answer = await send(ana, what, entered)
        text = text_of(answer)
        assert answer.status_code == 409
        assert "the monitor is at version 2 by now, and this form was filled from version 1" in text
        assert "somebody changed: Warning from: 0.1 → 0.12; Critical from: 0.2 → 0.5." in text
        assert "Somebody else has changed this to 0.12; the field holds your value." in text
        again = fields_of(answer)
        assert again == entered | {"critical": "0.5", "version": "2"}
    assert (await api.get(API)).json()["version"] == 2
    await send(ana, "save", again)
    monitor = (await api.get(API)).json()
    assert [monitor[name] for name in ("version", "warn", "critical", "confirm_warn")] == [3, 0.15, 0.5, 4]


async def test_a_form_that_did_not_fit_stays_of_the_version_it_was_filled_from(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    """Or else the next save would overwrite, unseen, what somebody has put in force meanwhile."""
    entered = fields_of(await ana.get(PAGE)) | {"warn": "x"}
    await api.put(API, json={"critical": 0.5})
    answer = await send(ana, "save", entered)
    assert fields_of(answer)["version"] == "1"
    assert (await send(ana, "save", fields_of(answer) | {"warn": "0.15"})).status_code == 409


async def test_the_preview_shows_what_would_have_been_beside_what_was(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("ok", "warn", "warn", "ok", "ok")
    clock.now = at(10)
    entered = fields_of(await ana.get(PAGE)) | {"warn": "0.3", "critical": "0.6"}
    answer = await send(ana, "preview", entered)
    text = text_of(answer)
    assert answer.status_code == 200
    assert "0 incidents and 0 messages . Those in force: 1 and 2. Actually happened: 1 incident." in text
    assert "It would have opened no incident." in text
    assert "5 evaluations: the settings applied to the stored PSI" in text
    assert "5 exact, 0 approximate, 0 unknown." in text
    assert "What people did (acknowledge, close) and slow drift are not replayed" in text
    assert fields_of(answer) == entered
    assert "In force: 0.1." in text
    assert answer.text.count("<title>warn from") == 2
    assert (await api.get(API)).json()["version"] == 1

    entered = entered | {"warn": "0.01", "critical": "0.1", "current_seconds": "12 h"}
    text = text_of(await send(ana, "preview", entered))
    assert "1 incident and 2 messages ." in text
    assert "23 Nov 2026, 09:16:00 UTC" in text
    assert "▲ critical 9 min so far 0.15 open 2" in text
    assert "Stored PSI was used because this service is starting" in text
    assert "“Current window”: the stored PSI is of another current window." in text


async def test_what_really_happened_is_drawn_at_its_worst(
    ana: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical", "warn", "ok")
    clock.now = at(10)
    answer = await send(ana, "preview", fields_of(await ana.get(PAGE)))
    assert answer.text.count("<title>critical from 23 Nov 2026, 09:16:00 UTC, 2 min, peak 0.50</title>") == 3


async def test_the_preview_says_what_it_covers(signed_in: SignedIn, life: Life, clock: StillClock) -> None:
    await life.sees("critical", "ok")
    clock.now = at(2) + timedelta(days=20)
    ana = await signed_in("ana", Role.RESPONDER)
    fields = fields_of(await ana.get(PAGE))
    assert "0 evaluations" in text_of(await send(ana, "preview", fields | {"days": "7"}))
    assert "2 evaluations" in text_of(await send(ana, "preview", fields | {"days": "30"}))


async def test_a_preview_of_a_monitor_that_is_off_tries_it_as_if_it_were_on(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life, clock: StillClock
) -> None:
    await life.sees("critical")
    clock.now = at(10)
    await api.put(API, json={"enabled": False})
    text = text_of(await send(ana, "preview", fields_of(await ana.get(PAGE))))
    assert "1 incident and 1 message . Those in force: 0 and 0. Actually happened: 1 incident." in text


async def test_switching_off_says_what_happens_and_asks_once_more(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    await life.sees("critical")
    page = text_of(await ana.get(PAGE))
    assert "The live incident #1 is closed; its timeline and a message say that the monitor was switched off" in page
    hasty = await send(ana, "disable", {"version": "1"})
    assert (hasty.status_code, "tick that you have read what happens" in text_of(hasty)) == (422, True)
    assert (await api.get(API)).json()["enabled"] is True
    done = text_of(await send(ana, "disable", {"version": "1", "sure": "true"}))
    assert "Switched off: the model is not compared" in done
    assert "version 2 Monitor: on → off by ana" in done
    steps = (await api.get("/v1/incidents/1/timeline")).json()["items"]
    assert [(step["kind"], step["cause"], step["alert"]) for step in steps][-1] == ("closed", "monitor_disabled", True)
    stale = await send(ana, "enable", {"version": "1"})
    assert (stale.status_code, "the monitor is at version 2 by now" in text_of(stale)) == (409, True)
    assert "Switched on: the model is compared again." in text_of(await send(ana, "enable", {"version": "2"}))
    assert (await api.get(API)).json()["enabled"] is True


async def test_a_viewer_reads_everything_and_is_given_the_reason_not_more(
    reader: httpx.AsyncClient, life: Life
) -> None:
    page = await reader.get(PAGE)
    assert "Changing a monitor is for responders; an admin can make you one." in text_of(page)
    assert "<fieldset disabled>" in page.text
    assert "hx-post" not in page.text
    assert fields_of(page)["warn"] == "0.1"
    for what in ("save", "preview", "disable", "enable"):
        data = fields_of(page) | {"sure": "true"}
        answer = await reader.post(f"{PAGE}/{what}", data=data, headers=SAME_ORIGIN)
        assert answer.status_code == 403, what


async def test_versions_are_paged(ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life) -> None:
    for number in range(21):
        await api.put(API, json={"warn": 0.1 + number / 1000 + 0.001})
    page = await ana.get(PAGE)
    assert "version 3 Warning from" in text_of(page)
    assert "The model was registered." not in text_of(page)
    older = re.search(r'href="[^"]*/monitor(\?before=\d+)#versions"', page.text)
    assert older is not None
    text = text_of(await ana.get(PAGE + older[1]))
    assert "Versions before 3" in text
    assert "version 2 Warning from: 0.1 → 0.101 by ana&#39;s key" in text
    assert "version 1 The model was registered. by SentryML" in text


async def test_the_page_is_found_from_the_model_and_from_an_incident(reader: httpx.AsyncClient, life: Life) -> None:
    await life.sees("critical")
    for page in (f"/models/{MODEL}", "/incidents/1"):
        assert f'/models/{MODEL}/monitor"' in (await reader.get(page)).text, page


@pytest.mark.parametrize("path", ["", "/monitor", "/delete"])
async def test_an_unknown_model_has_none_of_these_pages(signed_in: SignedIn, path: str) -> None:
    answer = await (await signed_in("ada", Role.ADMIN)).get(f"/models/nobody{path}")
    assert (
        answer.status_code,
        "No model nobody has been seen: a model is registered by its first event." in text_of(answer),
    ) == (404, True)


async def test_the_page_says_which_file_manages_the_monitor_and_what_was_changed_here_since(
    ana: httpx.AsyncClient, api: httpx.AsyncClient, life: Life
) -> None:
    assert "Managed by files" not in text_of(await ana.get(PAGE))
    applied = {"params": {"managed_by": "monitors/late\u202e.yaml"}, "json": {"warn": 0.15, "enabled": True}}
    assert (await api.put(API, **applied)).status_code == 200
    text = text_of(await ana.get(PAGE))
    assert "Managed by files: monitors/late[U+202E].yaml" in text
    assert "It sets Monitor, Warning from: a change to these made here stays until the file is applied again." in text
    assert "Changed since it was applied" not in text
    fields = fields_of(await ana.get(PAGE))
    await send(ana, "save", fields | {"warn": "0.12", "bins": "12"})
    text = text_of(await ana.get(PAGE))
    assert re.search(r"Changed since it was applied: Warning from: 0\.15 → 0\.12, by ana, ", text), text
    assert (await api.put(API, params={"managed_by": ""}, json={})).json()["managed_by"] is None
    assert "Managed by files" not in text_of(await ana.get(PAGE))

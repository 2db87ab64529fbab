"""What would be quieter, over HTTP and on the monitor's page, by stored evaluations."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
import pytest

from sentryml_common.contracts.api_key import Scope
from sentryml_common.contracts.monitor import DAY
from sentryml_incidents.domain.roles import Role
from tests.integration.incidents.conftest import Life, MakeClient, SignedIn, StillClock
from tests.integration.incidents.test_monitor_page import PAGE, fields_of, send
from tests.integration.incidents.test_pages import text_of
from tests.unit.incidents.builders import MODEL, an_evaluation, at

PATH = f"/v1/models/{MODEL}/monitor/advice"
HOURS = 6
STORY = ("ok",) * 12 + ("warn",) * 4 + ("ok",) * 12 + ("critical",) * 4 + ("ok",) * 8
"""Ten days: a warning of PSI 0.12 for a day, and later a critical drift of PSI 0.5."""


@pytest.fixture
async def lived(life: Life, clock: StillClock) -> Life:
    """A model that was evaluated for ten days."""
    for number, grade in enumerate(STORY, 1):
        psi = 0.12 if grade == "warn" else None
        await life.take(an_evaluation(grade, at(60 * HOURS * number), psi=psi))
    clock.now = at(60 * HOURS * len(STORY))
    return life


async def test_each_row_says_what_would_have_been_opened_and_what_it_costs(
    client_with: MakeClient, lived: Life
) -> None:
    api = await client_with(Scope.READ)
    answer = await api.get(PATH)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    rows = {str(each["settings"]): each for each in found["rows"]}
    in_force, higher, highest, unchecked = found["rows"]
    assert [each["settings"] for each in (in_force, higher, highest, unchecked)] == [
        {},
        {"warn": 0.15, "critical": 0.3},
        {"warn": 0.2, "critical": 0.4},
        {"season_seconds": None},
    ]
    assert [each["would_be"]["incidents"] for each in rows.values()] == [2, 1, 1, 2]
    assert all(each["in_force"] == in_force["would_be"] for each in rows.values())
    assert in_force["would_be"] == {
        "incidents": 2,
        "alerts": 4,
        "incidents_a_month": 6.2,
        "alerts_a_month": 12.3,
    }
    assert (in_force["from"], in_force["evaluations"], in_force["exact"]) == ("2026-11-23T15:15:00Z", 40, 40)
    assert higher["trade_off"].startswith("A shift below PSI 0.15 opens nothing.")
    assert {each["because"] for each in found["not_tried"]} == {"this service is starting"}
    assert {"baseline_seconds": 3.5 * DAY} in [each["settings"] for each in found["not_tried"]]
    assert (await api.get(f"/v1/models/{MODEL}/monitor")).json()["version"] == 1


async def test_a_model_that_was_not_evaluated_yet_has_no_rows(api: httpx.AsyncClient, life: Life) -> None:
    found = (await api.get(PATH)).json()
    assert found["rows"] == []
    assert "there are too few evaluations yet" in {each["because"] for each in found["not_tried"]}


async def test_a_row_of_the_page_puts_its_settings_into_the_form_and_saves_nothing(
    signed_in: SignedIn, api: httpx.AsyncClient, lived: Life
) -> None:
    ana = await signed_in("ana", Role.RESPONDER)
    page = await ana.get(PAGE)
    assert "how many incidents and alerts a month, and which shift is still found" in text_of(page)
    entered = fields_of(page) | {"bins": "20"}
    answer = await send(ana, "advice", entered)
    assert fields_of(answer) == entered, "what was entered stays"
    text = text_of(answer)
    assert "In force 9 d 18 h stored PSI 6.2 2 opened 12.3 6.2 and 12.3 unknown –" in text
    assert "A shift below PSI 0.2 opens nothing. If it lasts, it becomes part of the baseline." in text
    assert "None is recommended" in text
    assert "Segments are left out" not in text
    assert "Baseline: 7 d → 3 d 12 h: this service is starting." in text
    (link, *_) = re.findall(r'href="([^"]*)" aria-label="Put into the form: Warning from: 0\.1 → 0\.2', answer.text)
    filled = await ana.get(f"{PAGE}?{unescape(link).partition('?')[2]}")
    assert (fields_of(filled)["warn"], fields_of(filled)["critical"]) == ("0.2", "0.4")
    assert "In force: 0.1." in text_of(filled)
    assert (await api.get(f"/v1/models/{MODEL}/monitor")).json()["version"] == 1
    saved = await send(ana, "save", fields_of(filled))
    assert "Warning from: 0.1 → 0.2; Critical from: 0.2 → 0.4" in text_of(saved)
    await api.put(f"/v1/models/{MODEL}/monitor", json={"evaluate_segments": True})
    answer = await send(ana, "advice", fields_of(await ana.get(PAGE)))
    assert "Segments are left out: these are the incidents that all predictions together" in text_of(answer)


async def test_a_viewer_reads_the_page_and_has_no_button_for_it(reader: httpx.AsyncClient, life: Life) -> None:
    assert "monitor/advice" not in (await reader.get(PAGE)).text

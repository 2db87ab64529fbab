"""What people do to incidents, in a real Chromium, with and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from sentryml_incidents.domain.roles import Role
from tests.browser.checks import faults_of
from tests.browser.conftest import Visit
from tests.browser.scene import Scene


@pytest.fixture
async def responder(visit: Visit, scripts: bool) -> AsyncIterator[Page]:
    """A tab of a responder."""
    async with visit(Role.RESPONDER, java_script_enabled=scripts) as page:
        yield page


async def an_incident(scene: Scene, model_id: str) -> int:
    await scene.sees(model_id, "critical")
    return await scene.incident(model_id)


async def act(page: Page, button: str, note: str = "") -> None:
    if note:
        await page.get_by_label("Note").fill(note)
    await page.get_by_role("button", name=button, exact=True).click()


async def test_an_incident_is_acknowledged_noted_and_closed(scene: Scene, responder: Page, scripts: bool) -> None:
    model_id = f"worked-on-{'with' if scripts else 'without'}-scripts"
    number = await an_incident(scene, model_id)
    marks, timeline = responder.locator(".marks"), responder.locator(".timeline")
    await responder.goto("/incidents")
    await responder.get_by_role("link", name=re.compile(rf"^#{number}\b")).click()
    await expect(responder.get_by_role("heading", level=1)).to_contain_text(model_id)
    await expect(marks).to_contain_text("open")

    await act(responder, "Acknowledge", "Looking at it\nnow")
    await expect(marks).to_contain_text("acknowledged")
    await expect(timeline.locator("li").first).to_contain_text("Looking at it")
    await expect(timeline.locator("li").first).to_contain_text("by Rosa")

    await act(responder, "Take back")
    await expect(marks).not_to_contain_text("acknowledged")

    await act(responder, "Add note only", "A new version was released at nine")
    await expect(timeline.locator("li").first).to_contain_text("A new version was released at nine")

    await act(responder, "Acknowledge")
    await act(responder, "Close")
    await expect(marks).to_contain_text("closed")
    await expect(responder.get_by_role("button", name="Acknowledge")).to_have_count(0)


async def test_who_acts_on_what_has_moved_on_is_shown_it_and_keeps_the_note(
    scene: Scene, responder: Page, scripts: bool
) -> None:
    number = await an_incident(scene, f"moved-on-{'with' if scripts else 'without'}-scripts")
    await responder.goto(f"/incidents/{number}")
    await responder.get_by_label("Note").fill("A long thought")  # a live page leaves alone what somebody is writing
    answer = await scene.api.post(f"/v1/incidents/{number}/notes", json={"note": "I was first"})
    assert answer.status_code == 200, answer.text
    await act(responder, "Acknowledge")
    await expect(responder.get_by_role("alert")).to_contain_text("nothing was done")
    await expect(responder.get_by_label("Note")).to_have_value("A long thought")
    await expect(responder.locator(".timeline")).to_contain_text("I was first")
    assert not scripts or await faults_of(responder) == []


async def test_many_are_acknowledged_at_once(scene: Scene, responder: Page, scripts: bool) -> None:
    prefix = f"bulk-{'with' if scripts else 'without'}-"
    numbers = [await an_incident(scene, f"{prefix}{letter}") for letter in "abc"]
    await responder.goto(f"/incidents?model={prefix}")
    for number in numbers[:2]:
        await responder.get_by_role("checkbox", name=f"Incident #{number}", exact=True).check()
    await responder.get_by_role("button", name="Acknowledge", exact=True).click()
    rows = [responder.get_by_role("row").filter(has=responder.locator(f'a[href$="/{number}"]')) for number in numbers]
    for row in rows[:2]:
        await expect(row).to_contain_text("acknowledged")
    await expect(rows[2]).to_contain_text("open")


async def test_a_note_without_text_is_refused_in_words(scene: Scene, responder: Page) -> None:
    await responder.goto(f"/incidents/{scene.numbers['open']}")
    await act(responder, "Add note only")
    await expect(responder.get_by_role("alert")).to_have_text(re.compile("Write the note first"))


async def test_a_viewer_may_read_and_not_act(scene: Scene, visit: Visit) -> None:
    async with visit(Role.VIEWER) as page:
        await page.goto(f"/incidents/{scene.numbers['open']}")
        await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
        await expect(page.get_by_text("You are a viewer")).to_be_visible()
        await expect(page.locator("main form")).to_have_count(0)
        await expect(page.get_by_role("link", name="Users")).to_have_count(0)
        await page.goto("/users")
        await expect(page.locator("main")).to_contain_text("This needs the role admin")

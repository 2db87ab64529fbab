"""Open pages change by themselves in a real Chromium, without being loaded again, and say so when they stop to."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page, Route, expect

from sentryml_incidents.domain.roles import Role
from sentryml_local.stack import Stack
from tests.browser.conftest import Visit
from tests.browser.scene import Scene
from tests.support.eventually import eventually

HASTE = """
  window.pauses = [];
  const wait = window.setTimeout;
  window.setTimeout = (call, pause) => {
    if (pause >= 40_000) return wait(call, pause); // how long silence may last
    window.pauses.push(pause);
    return wait(call, pause / 20);
  };
"""
"""A page that waits for a twentieth of the time that it means to, and notes that one."""


async def open_live(page: Page, path: str) -> None:
    """Open a page, wait until it lives, and mark it: a page that is loaded again has lost the mark."""
    await page.goto(path)
    await expect(page.locator("html")).to_have_attribute("data-live", "on")
    await page.evaluate("window.marked = 1")


async def is_the_same(page: Page) -> bool:
    return await page.evaluate("window.marked") == 1


async def test_an_incident_that_opens_appears_in_the_open_list(scene: Scene, visit: Visit) -> None:
    async with visit(Role.VIEWER) as page:
        await open_live(page, "/incidents")
        await scene.sees("opens-live", "critical")
        await expect(page.get_by_role("link", name="opens-live").first).to_be_visible()
        assert await is_the_same(page)


async def test_what_somebody_else_does_appears_and_what_one_types_stays(scene: Scene, visit: Visit) -> None:
    await scene.sees("worked-on-by-two", "critical")
    number = await scene.incident("worked-on-by-two")
    async with visit(Role.RESPONDER) as page:
        await open_live(page, f"/incidents/{number}")
        await page.get_by_label("Note").fill("half a thought")
        answer = await scene.api.post(f"/v1/incidents/{number}/acknowledge", json={"note": "mine"})
        assert answer.status_code == 200, answer.text
        await expect(page.locator(".marks")).to_contain_text("acknowledged")
        await expect(page.locator(".timeline")).to_contain_text("mine")
        await expect(page.get_by_label("Note")).to_have_value("half a thought")
        assert await is_the_same(page)


async def test_a_lost_connection_is_shown_and_heals(scene: Scene, visit: Visit, stack: Stack) -> None:
    async with visit(Role.VIEWER, away=True) as page:
        await open_live(page, "/incidents")
        stack.stop(["incidents"])
        try:
            await expect(page.get_by_text("Not live")).to_be_visible()
        finally:
            await asyncio.to_thread(stack.up)
        await expect(page.locator("html")).to_have_attribute("data-live", "on")
        await expect(page.get_by_text("Not live")).to_have_count(0)
        await scene.sees("opens-after-healing", "critical")
        await expect(page.get_by_role("link", name="opens-after-healing").first).to_be_visible()
        assert await is_the_same(page)


async def test_a_page_that_cannot_be_made_is_asked_for_less_and_less(scene: Scene, visit: Visit) -> None:
    """The stream connects each time; only what is behind it fails."""

    async def fail(route: Route) -> None:
        await (route.fulfill(status=503) if "sentryml-background" in route.request.headers else route.continue_())

    async with visit(Role.VIEWER, away=True) as page:
        await page.add_init_script(HASTE)
        await page.route("**/incidents", fail)
        await open_live(page, "/incidents")
        await scene.sees("behind-a-failure", "critical")

        async def five() -> list[float] | None:
            pauses: list[float] = await page.evaluate("window.pauses")
            return pauses[:5] if len(pauses) >= 5 else None

        first, *_, last = await eventually(five, what="five tries") or ()
        assert last > 4 * first
        await page.unroute("**/incidents")
        await expect(page.get_by_role("link", name="behind-a-failure").first).to_be_visible()
        await expect(page.get_by_text("Not live")).to_have_count(0)

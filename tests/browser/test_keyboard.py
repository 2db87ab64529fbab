"""All with the keyboard alone: Tab comes to everything, what has the focus is seen, Enter acts."""

from __future__ import annotations

import pytest
from playwright.async_api import Page as Tab
from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
from tests.browser.conftest import Visit
from tests.browser.pages import PAGES, Page
from tests.browser.scene import PASSWORD, Scene

ALL = """() => {
  const shown = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter((each) => each.checkVisibility() && !each.matches(":disabled, [tabindex='-1']"));
  const groups = new Set();
  const stops = shown.filter((each) => each.type !== "radio" || (!groups.has(each.name) && groups.add(each.name)));
  shown.forEach((each, number) => {
    each.stop = each.type === "radio" ? `radio ${each.name}` : `${number} ${each.outerHTML.slice(0, 90)}`;
  });
  return stops.map((each) => each.stop);
}"""
"""Every place that Tab should come to; a group of radio buttons is one."""

HERE = """() => {
  const each = document.activeElement, style = getComputedStyle(each);
  const box = each.getBoundingClientRect();
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 && box.width > 0 && box.height > 0;
  const marksItself = each.type === "date"; // its parts have the focus, and show it
  return each === document.body ? null : [each.stop || null, seen || marksItself ? null : each.outerHTML.slice(0, 90)];
}"""


MOST = 500
"""Stops on a page, at most."""


@pytest.mark.parametrize("listed", PAGES, ids=lambda each: each.name)
async def test_tab_comes_to_everything_and_shows_where_it_is(listed: Page, scene: Scene, visit: Visit) -> None:
    async with visit(listed.role) as tab:
        await tab.goto(listed.of(scene))
        expected = await tab.evaluate(ALL)
        if await tab.evaluate("document.activeElement !== document.body"):
            await _tab_through(tab)  # on from the field that has the focus at first, and around
        stops, unseen = await _tab_through(tab)
    assert [each for each in expected if each not in stops] == []
    assert unseen == []
    order = list(dict.fromkeys(stop for stop in stops if stop in expected))
    assert order == expected, "Tab goes through the page in its order"


async def _tab_through(tab: Tab) -> tuple[list[str], list[str]]:
    """Where Tab stops, until it leaves the page; and what has the focus without showing it."""
    stops, unseen = [], []
    for _ in range(MOST):
        await tab.keyboard.press("Tab")
        here = await tab.evaluate(HERE)
        if here is None:
            break
        stop, hidden = here
        stops += [stop] if stop else []
        unseen += [hidden] if hidden else []
    return stops, unseen


async def test_somebody_signs_in_and_acknowledges_with_the_keyboard_alone(scene: Scene, visit: Visit) -> None:
    await scene.sees("by-keyboard", "critical")
    number = await scene.incident("by-keyboard")
    async with visit(None) as tab:
        await tab.goto(f"/incidents/{number}")
        await expect(tab.get_by_label("E-mail", exact=True)).to_be_focused()
        await tab.keyboard.type("rosa@example.org")
        await tab.keyboard.press("Tab")
        await tab.keyboard.type(PASSWORD)
        await tab.keyboard.press("Enter")
        await expect(tab.get_by_role("heading", level=1)).to_contain_text("by-keyboard")
        await _tab_to(tab, "Note")
        await tab.keyboard.type("found by keyboard")
        await _tab_to(tab, "Acknowledge")
        await tab.keyboard.press("Enter")
        await expect(tab.locator(".marks")).to_contain_text("acknowledged")
        await expect(tab.locator(".timeline")).to_contain_text("found by keyboard")


async def test_a_viewer_reads_every_detail_with_the_keyboard_alone(scene: Scene, visit: Visit) -> None:
    async with visit(Role.VIEWER) as tab:
        await tab.goto("/models/checkout-fraud")
        await _tab_to(tab, "The same in figures")
        await tab.keyboard.press("Enter")
        await expect(tab.locator("details[open] li").first).to_be_visible()


async def _tab_to(tab: Tab, name: str) -> None:
    """Press Tab until something of that name has the focus."""
    named = "() => { const e = document.activeElement; return (e.labels?.[0] || e).innerText?.trim(); }"
    for _ in range(MOST):
        await tab.keyboard.press("Tab")
        if str(await tab.evaluate(named)).startswith(name):
            return
    raise AssertionError(f"Tab never comes to {name}")

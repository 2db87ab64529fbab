"""A curve answers to the pointer and to keys: what was found there, that evaluation, and a stretch of time."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page as Tab
from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
from tests.browser.conftest import Visit
from tests.browser.scene import Scene

DRIFTING = "checkout-fraud"

SAYS = re.compile(r"\d\d:\d\d:\d\d UTC: PSI \d\.\d{3} · warning from 0\.1, critical from 0\.2")
ZOOMED = re.compile(r"since=2\d{3}-.*&until=2\d{3}-.*#psi")


async def box_of(tab: Tab) -> tuple[float, float, float]:
    """The left edge, the width and the middle height of the curve."""
    await tab.goto(f"/models/{DRIFTING}")
    box = await tab.locator("figure[data-start] .canvas").bounding_box()
    assert box is not None
    return box["x"], box["width"], box["y"] + box["height"] / 2


async def test_pointing_at_a_curve_says_what_was_found_there(scene: Scene, visit: Visit) -> None:
    async with visit(Role.VIEWER) as tab:
        left, width, middle = await box_of(tab)
        readout = tab.locator(".readout")
        await tab.mouse.move(left + width - 2, middle)
        await expect(readout).to_have_text(SAYS)
        await tab.mouse.move(left, middle - 400)
        await expect(readout).to_have_text("")


async def test_arrow_keys_go_through_a_curve_and_enter_shows_the_evaluation(scene: Scene, visit: Visit) -> None:
    async with visit(Role.VIEWER) as tab:
        await box_of(tab)
        await tab.locator("figure[data-start] .canvas").focus()
        await tab.keyboard.press("ArrowLeft")
        readout = tab.locator(".readout")
        await expect(readout).to_have_text(SAYS)
        last = await readout.text_content()
        await tab.keyboard.press("ArrowLeft")
        await expect(readout).not_to_have_text(last or "")
        await expect(readout).to_have_text(SAYS)
        await tab.keyboard.press("Enter")
        await expect(tab).to_have_url(re.compile(r"at=.*#evaluation"))


@pytest.mark.parametrize("by", ["dragging", "keys"])
async def test_a_stretch_of_a_curve_is_shown_in_more_detail(scene: Scene, visit: Visit, by: str) -> None:
    async with visit(Role.VIEWER) as tab:
        left, width, middle = await box_of(tab)
        if by == "dragging":
            await tab.mouse.move(left + 0.9 * width, middle)
            await tab.mouse.down()
            await tab.mouse.move(left + width - 1, middle, steps=5)
            await tab.mouse.up()
        else:
            await tab.locator("figure[data-start] .canvas").focus()
            for key in ("End", "Shift+ArrowLeft", "Shift+ArrowLeft", "Enter"):
                await tab.keyboard.press(key)
        await expect(tab).to_have_url(ZOOMED)
        await expect(tab.locator("#psi")).to_have_text(re.compile(r"^PSI from .* to .*UTC$"))
        await tab.get_by_role("link", name="a day", exact=True).click()
        await expect(tab.locator("#psi")).to_have_text("PSI over a day")

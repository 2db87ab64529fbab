"""Pages are complete without JavaScript: whatever can be read or done with it is there without."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page as Tab

from tests.browser.conftest import Visit
from tests.browser.pages import PAGES, Page
from tests.browser.scene import Scene

SHOWN = "h1, h2, h3, th, legend, label, summary, button, a[href], input, select, textarea, figure"
OFFERS = """(selector) => [...document.querySelectorAll(selector)]
  .filter((each) => each.checkVisibility())
  .map((each) => `${each.tagName} ${each.getAttribute("name") || each.getAttribute("aria-label") || each.innerText}`)"""
"""Headings, columns, pictures, and all that can be used."""
SPAN = re.compile(r"(\d+\s(d|h|min|s)\b\s*)+")
"""How long something has lasted: the two readings are not at the same moment."""


@pytest.mark.parametrize("listed", PAGES, ids=lambda each: each.name)
async def test_a_page_offers_the_same_without_scripts(listed: Page, scene: Scene, visit: Visit) -> None:
    async with visit(listed.role) as tab:
        with_scripts = await _offers(tab, listed.of(scene))
    async with visit(listed.role, java_script_enabled=False) as tab:
        without = await _offers(tab, listed.of(scene))
    assert any(each.startswith("H1 ") for each in without)
    assert with_scripts - without == set()


async def _offers(tab: Tab, address: str) -> set[str]:
    await tab.goto(address)
    return {SPAN.sub("some time", each) for each in await tab.evaluate(OFFERS, SHOWN)}

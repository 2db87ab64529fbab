"""What must hold of every page, as lists of faults in words."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.support.chromium import axe

PHONE, DESK, WALL = ({"width": width, "height": height} for width, height in ((360, 740), (1280, 900), (2560, 1440)))
LINE_MAX = 130
"""Characters: of longer lines the eye does not find the next one."""

AXE = """async (only) => {
  const found = await axe.run(document, only ? { runOnly: { type: "rule", values: only } } : {});
  return found.violations.filter((each) => ["serious", "critical"].includes(each.impact)).flatMap((each) =>
    each.nodes.map((node) => `${each.id}: ${each.help}: ${node.target} ${node.failureSummary}`));
}"""

OVERFLOW = """() => {
  const root = document.scrollingElement, room = root.clientWidth, found = [];
  if (root.scrollWidth <= room) return found;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNode(node);
    const right = range.getBoundingClientRect().right;
    if (right > room) found.push(`reaches to ${right} of ${room}: ${(node.outerHTML || node.data).slice(0, 120)}`);
  }
  return [`scrolls sideways: ${root.scrollWidth} of ${room}`, ...found.slice(-3)];
}"""

LINES = """(most) => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.trim().replace(/\\s+/g, " "), range = document.createRange();
    if (!text.includes(" ")) continue; // a name is not read line by line
    range.selectNodeContents(node);
    const widths = [...range.getClientRects()].map((line) => line.width);
    const longest = text.length * Math.max(0, ...widths) / widths.reduce((sum, width) => sum + width, 0);
    if (longest > most) found.push(`a line of ${Math.round(longest)} characters: ${text.slice(0, 80)}`);
  }
  return found;
}"""


async def faults_of(page: Page) -> list[str]:
    """Look at an open page in light and dark, on a phone and on a wall; leaves it as on a desk. Needs JavaScript."""
    await page.evaluate(axe())
    found = [f"light: {each}" for each in await page.evaluate(AXE, None)]
    await page.emulate_media(color_scheme="dark")
    found += [f"dark: {each}" for each in await page.evaluate(AXE, ["color-contrast", "link-in-text-block"])]
    await page.emulate_media(color_scheme="light")
    found += [f"on a phone: {each}" for each in await _at(page, PHONE, OVERFLOW, None)]
    found += [f"on a wall: {each}" for each in await _at(page, WALL, LINES, LINE_MAX)]
    await page.set_viewport_size(DESK)
    return found


async def _at(page: Page, size: Any, look: str, argument: object) -> list[str]:
    await page.set_viewport_size(size)
    return list(await page.evaluate(look, argument))

"""The very first page. This file is the first one of its folder, since later ones set the scene."""

from __future__ import annotations

from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
from tests.browser.checks import faults_of
from tests.browser.conftest import Visit
from tests.browser.scene import Scene


async def test_who_has_sent_nothing_is_shown_how_and_finds_the_model(bare_scene: Scene, visit: Visit) -> None:
    async with visit(Role.ADMIN) as page:
        await page.goto("/models")
        await expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
        await expect(page.locator("pre.command")).to_contain_text("/v1/events")
        assert await faults_of(page) == []
        await expect(page.locator("html")).to_have_attribute("data-live", "on")
        await bare_scene.send("the-very-first", 1)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("the-very-first")

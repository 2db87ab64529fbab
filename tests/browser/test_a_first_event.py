"""The very first page. This file is the first one of its folder, since later ones set the scene."""

from __future__ import annotations

from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
from tests.browser.checks import faults_of
from tests.browser.conftest import Visit
from tests.browser.scene import Scene
from tests.support.eventually import eventually


async def test_who_has_sent_nothing_is_shown_how_and_finds_the_model(bare_scene: Scene, visit: Visit) -> None:
    async with visit(Role.ADMIN) as page:
        await page.goto("/models")
        await expect(page.get_by_role("heading", name="No model yet")).to_be_visible()
        await expect(page.locator("pre.command")).to_contain_text("/v1/events")
        assert await faults_of(page) == []
        await expect(page.locator("html")).to_have_attribute("data-live", "on")
        await bare_scene.send("the-very-first", 1)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("the-very-first")


async def test_an_admin_makes_a_key_and_sends_a_test_event_with_it(
    bare_scene: Scene, visit: Visit, scripts: bool
) -> None:
    async with visit(Role.ADMIN, java_script_enabled=scripts) as page:
        await page.goto("/keys")
        await page.get_by_label("What it is for").fill("first events")
        await page.get_by_label("For which models").fill(f"{scripts}-*".lower())
        await page.get_by_role("button", name="Create key").click()
        await page.get_by_role("button", name="Send a test event").click()
        await expect(page.get_by_text("The test event was accepted after")).to_be_visible()
        await expect(page.locator("pre.command")).to_have_count(3)
        assert not scripts or await faults_of(page) == []

    async def is_counted() -> bool:
        return (await bare_scene.api.get(f"/v1/models/{scripts}-sentryml-test".lower())).status_code == 200

    await eventually(is_counted, what="the test event to be counted")

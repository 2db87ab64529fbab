"""A monitor is changed on its page, in a real Chromium, with and without JavaScript."""

from __future__ import annotations

from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
from tests.browser.checks import faults_of
from tests.browser.conftest import Visit
from tests.browser.scene import Scene
from tests.support.eventually import eventually


async def test_a_threshold_is_changed(scene: Scene, visit: Visit, scripts: bool) -> None:
    model_id = f"monitored-{'with' if scripts else 'without'}-scripts"
    await scene.sees(model_id, "ok")

    async def is_there() -> bool:
        return (await scene.api.get(f"/v1/models/{model_id}")).status_code == 200

    await eventually(is_there, what=f"{model_id} to be registered")
    async with visit(Role.RESPONDER, java_script_enabled=scripts) as page:
        await page.goto(f"/models/{model_id}/monitor")
        await page.locator("[name=warn]").fill("0.15")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved: version 2")).to_be_visible()
        await expect(page.locator("[name=warn]")).to_have_value("0.15")
    assert (await scene.api.get(f"/v1/models/{model_id}/monitor")).json()["warn"] == 0.15


async def test_the_preview_follows_what_is_entered(scene: Scene, visit: Visit) -> None:
    async with visit(Role.RESPONDER) as page:
        await page.goto("/models/checkout-fraud/monitor")
        preview, in_short = page.locator("#preview"), page.locator("#preview-in-short")
        await expect(preview).to_contain_text("No preview yet")
        await page.locator("[name=warn]").fill("0.15")
        await expect(preview).to_contain_text("Actually happened")
        await expect(preview.get_by_role("img")).to_be_visible()
        await expect(in_short).to_contain_text("incident")
        await expect(page.locator("[name=warn]")).to_be_focused()
        await page.locator("[name=warn]").fill("many")
        await expect(preview).to_contain_text("No preview: Warning from: write a number")
        assert await faults_of(page) == []
    assert (await scene.api.get("/v1/models/checkout-fraud/monitor")).json()["version"] == 1

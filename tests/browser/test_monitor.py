"""A monitor is changed on its page, in a real Chromium, with and without JavaScript."""

from __future__ import annotations

from datetime import timedelta

from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
from tests.browser.checks import faults_of
from tests.browser.conftest import Visit
from tests.browser.scene import Scene
from tests.support.eventually import eventually


async def test_a_threshold_is_changed_and_a_quieter_one_filled_in(scene: Scene, visit: Visit, scripts: bool) -> None:
    model_id = f"monitored-{'with' if scripts else 'without'}-scripts"
    await scene.sees(model_id, *["ok"] * 10, every=timedelta(hours=12))

    async def is_there() -> bool:
        return (await scene.api.get(f"/v1/models/{model_id}")).status_code == 200

    await eventually(is_there, what=f"{model_id} to be registered")
    async with visit(Role.RESPONDER, java_script_enabled=scripts) as page:
        await page.goto(f"/models/{model_id}/monitor")
        await page.locator("[name=warn]").fill("0.15")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved: version 2")).to_be_visible()
        await expect(page.locator("[name=warn]")).to_have_value("0.15")
        await page.get_by_role("button", name="What would be quieter?").click()
        await expect(page.get_by_role("table")).to_contain_text("A shift below PSI 0.225 opens nothing.")
        assert not scripts or await faults_of(page) == []
        await page.get_by_role("link", name="Put into the form: Warning from: 0.15 → 0.225").click()
        await expect(page.locator("[name=warn]")).to_have_value("0.225")
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

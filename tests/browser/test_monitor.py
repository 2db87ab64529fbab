"""A monitor is changed on its page, in a real Chromium, with and without JavaScript."""

from __future__ import annotations

from playwright.async_api import expect

from sentryml_incidents.domain.roles import Role
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

"""Signing in, one's account, API keys and users, in a real Chromium, with and without JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from sentryml_incidents.domain.roles import Role
from tests.browser.checks import faults_of
from tests.browser.conftest import Visit
from tests.browser.scene import PASSWORD, Scene
from tests.support.http_client import http_client


@pytest.fixture
async def stranger(visit: Visit, scripts: bool) -> AsyncIterator[Page]:
    """A tab in which nobody is signed in."""
    async with visit(None, java_script_enabled=scripts) as page:
        yield page


@pytest.fixture
async def admin(visit: Visit, scripts: bool) -> AsyncIterator[Page]:
    """A tab of the admin."""
    async with visit(Role.ADMIN, java_script_enabled=scripts) as page:
        yield page


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_signing_in_leads_to_the_page_that_required_it_and_out_again(
    scene: Scene, stranger: Page, scripts: bool
) -> None:
    await stranger.goto(f"/incidents/{scene.numbers['open']}")
    await sign_in(stranger, "rosa@example.org", "not her password")
    await expect(stranger.get_by_role("alert")).to_be_visible()
    await expect(stranger.get_by_label("E-mail")).to_have_value("rosa@example.org")
    assert not scripts or await faults_of(stranger) == []
    await sign_in(stranger, "rosa@example.org", PASSWORD)
    await expect(stranger.get_by_role("heading", level=1)).to_contain_text("checkout-fraud")
    await stranger.get_by_role("button", name="Sign out").click()
    await expect(stranger.get_by_role("heading", level=1)).to_have_text("Sign in")
    await stranger.goto("/models")
    await expect(stranger.get_by_role("heading", level=1)).to_have_text("Sign in")


async def works(scene: Scene, key: str) -> bool:
    async with http_client(headers={"Authorization": f"Bearer {key}"}) as client:
        return (await client.get(f"{scene.url}/v1/models")).status_code == 200


async def test_a_key_is_made_rotated_and_revoked(scene: Scene, admin: Page, scripts: bool) -> None:
    name = f"made in a browser, {'with' if scripts else 'without'} scripts"
    await admin.goto("/keys")
    await admin.get_by_label("What it is for").fill(name)
    for scope, requested in (("read", True), ("events:write", False)):
        await admin.get_by_role("checkbox", name=scope).set_checked(requested)
    await admin.get_by_role("button", name="Create key").click()
    key = await admin.locator(".secret code").inner_text()
    assert await works(scene, key)
    assert not scripts or await faults_of(admin) == []

    await admin.goto("/keys")
    await expect(admin.locator("main")).not_to_contain_text(key)
    await admin.get_by_role("row", name=name).get_by_role("button", name="Rotate").click()
    newer = await admin.locator(".secret code").inner_text()
    assert newer != key
    assert await works(scene, newer)
    assert await works(scene, key)

    await admin.goto("/keys")
    row = admin.get_by_role("row", name=name)
    revoke = row.get_by_role("button", name="Revoke")
    for left in reversed(range(await revoke.count())):
        await revoke.first.click()
        await expect(revoke).to_have_count(left)
    for each in (key, newer):
        assert not await works(scene, each)


async def test_a_person_is_added_chooses_a_password_and_is_kept_out(
    scene: Scene, admin: Page, visit: Visit, scripts: bool
) -> None:
    email = f"nora-{'with' if scripts else 'without'}@example.org"
    await admin.goto("/users")
    await admin.get_by_label("E-mail").fill(email)
    await admin.get_by_role("radio", name="viewer").check()
    await admin.get_by_role("button", name="Add").click()
    initial = await admin.locator(".secret code").inner_text()
    assert not scripts or await faults_of(admin) == []

    async with visit(None, java_script_enabled=scripts) as nora:
        await nora.goto("/models")
        await sign_in(nora, email, initial)
        await expect(nora.get_by_role("alert")).to_contain_text("Choose one of your own")
        await nora.get_by_label("Current password").fill(initial)
        await nora.get_by_label("New password").fill(PASSWORD)
        await nora.get_by_role("button", name="Change the password").click()
        await expect(nora.get_by_role("status")).to_contain_text("Your password is changed")
        await nora.get_by_label("Name shown on timelines").fill("Nora")
        await nora.get_by_role("button", name="Change the name").click()
        await expect(nora.locator(".visitor")).to_contain_text("Nora")

        await admin.goto("/users")
        await admin.get_by_role("link", name=email).click()
        await admin.get_by_role("radio", name="responder").check()
        await admin.get_by_role("button", name="Change the role").click()
        await expect(admin.locator(".facts")).to_contain_text("responder")
        await nora.goto("/models")
        await expect(nora.locator(".visitor")).to_contain_text("responder")

        await admin.get_by_role("button", name="Disable").click()
        await expect(admin.locator(".marks")).to_contain_text("disabled since")
        await nora.goto("/models")
        await expect(nora.get_by_role("heading", level=1)).to_have_text("Sign in")


async def test_somebody_ends_a_session_elsewhere(scene: Scene, visit: Visit, scripts: bool) -> None:
    async with visit(None, user_agent="The other browser") as other:
        await other.goto("/models")
        await sign_in(other, "vera@example.org", PASSWORD)
        await expect(other.get_by_role("heading", level=1)).to_have_text("Models")
        async with visit(Role.VIEWER, java_script_enabled=scripts) as page:
            await page.goto("/account")
            await page.get_by_role("row", name="The other browser").get_by_role("button", name="End").click()
            await expect(page.get_by_role("status")).to_contain_text("Ended")
        await other.goto("/models")
        await expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")

"""The pages of alerts in the whole stack: incidents asks the notifier over HTTP, signed, for who is signed in."""

from __future__ import annotations

from sentryml_local.stack import Stack
from tests.e2e.user import User
from tests.integration.incidents.test_pages import text_of
from tests.support.signing_in import submit


async def test_an_admin_tests_the_channel_and_makes_a_route(stack: Stack, user: User) -> None:
    page = await user.browser.get("/alerts")
    channel = page.text.partition("/alerts/channels/")[2].partition('"')[0]
    tested = await submit(user.browser, f"/alerts/channels/{channel}", f"/alerts/channels/{channel}/test")
    assert "✓ Test message delivered in" in text_of(tested)
    data = {"name": "e2e", "channel_id": channel, "models": "no-such-model-*", "enabled": "true"}
    made = text_of(await submit(user.browser, "/alerts/routes/new", "/alerts/routes/make", **data))
    assert "e2e no-such-model-*" in made
    assert f"{stack.environment()['SENTRYML_ADMIN_EMAIL']} added the route e2e" in made
    assert "✓ Every alert is accounted for" in made

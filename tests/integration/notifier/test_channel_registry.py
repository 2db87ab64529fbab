"""Channels come, change and go while the dispatcher runs."""

from __future__ import annotations

import asyncio
from uuid import UUID

from pydantic import SecretStr

from sentryml_common.postgres.pool import transaction
from sentryml_notifier.channel_registry import ChannelRegistry, SettingsChannel, renew_secrets
from sentryml_notifier.secrets import SecretBox
from sentryml_notifier.settings_channels import SLACK_SETTING
from tests.integration.notifier.conftest import World, make_channel
from tests.support.eventually import eventually
from tests.support.http_server import answer, http_server
from tests.unit.notifier.builders import escalated, opened_warn

OLD, NEW = "o" * 32, "n" * 32


async def make_webhook(world: World, secret_box: SecretBox, name: str, address: str) -> UUID:
    """Enter a webhook of Slack into the ledger, and a route of all models to it."""
    return await make_channel(world, name, "slack_webhook", secret_box.seal({"url": address}))


async def test_channel_of_the_ledger_is_served_from_the_moment_it_is_made_until_it_is_deleted(world: World) -> None:
    secret_box = SecretBox([OLD])
    registry = world.registry(secret_box)
    dispatching = asyncio.create_task(world.dispatcher(registry=registry).run())
    channel_id = await make_webhook(world, secret_box, "ops", world.slack.address)
    registry.changed.set()
    await world.take_in(opened_warn())

    async def delivered() -> int:
        sent: int = await world.pool.fetchval(
            "SELECT count(*) FROM delivery WHERE channel_id = $1 AND state = 'delivered'", channel_id
        )
        return sent

    await eventually(delivered, what="the channel's first message")
    await world.pool.execute("UPDATE channel SET deleted_at = now() WHERE channel_id = $1", channel_id)
    assert channel_id not in await registry.read()
    dispatching.cancel()
    await asyncio.wait({dispatching})
    assert dispatching.cancelled()


async def test_changed_configuration_is_opened_again_and_the_same_kept(world: World) -> None:
    secret_box = SecretBox([OLD])
    registry = world.registry(secret_box)
    channel_id = await make_webhook(world, secret_box, "ops", world.slack.address)
    first = (await registry.read())[channel_id]
    assert (await registry.read())[channel_id] is first
    await world.pool.execute("UPDATE channel SET fingerprint = '2' WHERE channel_id = $1", channel_id)
    assert (await registry.read())[channel_id] is not first


async def test_channel_that_cannot_be_opened_parks_what_waits_and_says_why(world: World) -> None:
    other = await make_webhook(world, SecretBox([OLD]), "other-key", world.slack.address)
    evil = await make_webhook(world, SecretBox([NEW]), "evil", "https://evil.example/services/verysecret")
    await world.take_in(opened_warn())
    assert await world.registry(SecretBox([NEW])).read() == {}
    rows = {
        row["channel_id"]: row
        for row in await world.pool.fetch("SELECT channel_id, state, broken_reason FROM channel ORDER BY name")
    }
    assert "Put it back" in rows[other]["broken_reason"]
    assert "SENTRYML_ALLOWED_HOSTS" in rows[evil]["broken_reason"]
    assert "verysecret" not in rows[evil]["broken_reason"]
    states = await world.pool.fetch(
        "SELECT DISTINCT state, parked_because FROM delivery WHERE channel_id = ANY ($1)", [other, evil]
    )
    assert [tuple(row.values()) for row in states] == [("parked", "channel_broken")]
    await world.take_in(escalated())
    assert (await world.pool.fetchval("SELECT count(*) FROM delivery WHERE channel_id = $1", other)) == 2


async def test_channel_that_could_not_be_opened_is_retried_once_the_operator_has_fixed_that(world: World) -> None:
    """The address was not allowed; nobody enters it again, the notifier is restarted with it allowed."""
    secret_box = SecretBox([OLD])
    async with http_server(answer(200, b"ok")) as server:
        address = f"http://{server.authority}/services/x"
        channel_id = await make_webhook(world, secret_box, "ops", address)
        assert channel_id not in await world.registry(secret_box).read()
        await world.take_in(opened_warn())
        fixed = ChannelRegistry(world.tools(server.authority), secret_box, {})
        dispatcher = world.dispatcher(registry=fixed)
        ops = (await fixed.read())[channel_id]
        assert not await dispatcher.dispatch_one(ops)
        await dispatcher.revive_once(ops)
        assert await dispatcher.dispatch_one(ops)
    assert len(server.received) == 1


async def test_replica_with_another_value_of_the_setting_keeps_out(world: World) -> None:
    def given(address: str) -> SettingsChannel:
        return SettingsChannel("slack", "slack_webhook", SLACK_SETTING, "url", SecretStr(address))

    assert list(await world.registry(None, given(world.slack.address)).read()) == [world.channel.channel_id]
    assert not await world.registry(None, given(world.slack.address + "/old")).read()
    assert not await world.registry().read()
    assert (await world.channel_row())["state"] == "active"


async def test_secrets_are_encrypted_again_with_the_newest_key(world: World) -> None:
    channel_id = await make_webhook(world, SecretBox([OLD]), "ops", world.slack.address)
    lost = await make_webhook(world, SecretBox(["x" * 32]), "lost", world.slack.address)
    assert await renew_secrets(world.tools(), SecretBox([NEW, OLD])) == 1
    assert await renew_secrets(world.tools(), SecretBox([NEW, OLD])) == 0
    assert set(await world.registry(SecretBox([NEW])).read()) == {channel_id}
    async with transaction(world.pool) as connection:
        assert await connection.fetchval("SELECT secret FROM channel WHERE channel_id = $1", lost)

"""The notifier as a process whose only channel is a bot, given by settings alone: run, killed, pressed."""

from __future__ import annotations

import signal
from pathlib import Path

from aiokafka import AIOKafkaProducer

from sentryml_common.clock import system_clock
from sentryml_local.slack_stand_in.button_clicks import press_payload, signed
from sentryml_local.slack_stand_in.page import as_text, render_page
from sentryml_local.slack_stand_in.sockets import open_sockets
from sentryml_local.slack_stand_in.web_api import ApiScript
from sentryml_local.slack_stand_in.workspace import Posted
from sentryml_notifier.http.slack_actions import PATH
from tests.integration.notifier.bot_notifier import title
from tests.integration.notifier.conftest import Slack
from tests.integration.notifier.test_service import SHORTEST_LEASE_SECONDS, notifier, producer, publish
from tests.support.eventually import LONG_SECONDS, eventually
from tests.support.http_client import http_client
from tests.unit.notifier.builders import acknowledged, escalated, opened_warn

__all__ = ["producer"]

CHANNEL, SIGNING, ADA = "C0ALERTS", "5ig2ing", "U0ADA"


def settings_of(kafka: str, database_url: str, slack: Slack, **more: str) -> dict[str, str]:
    return {
        "kafka_bootstrap": kafka, "postgres_url": database_url, "slack_bot_token": slack.workspace.token,
        "slack_channel": CHANNEL, "slack_api_url": slack.api_url, "allowed_hosts": slack.authority,
        "slack_signing_secret": SIGNING, "dispatch_poll_seconds": "0.2", **more,
    }  # fmt: skip


async def roots_of(slack: Slack, model_id: str, like: str) -> list[Posted]:
    """The roots about a model, when the title of the first is `like`."""

    async def found() -> list[Posted] | None:
        roots = [each for each in slack.workspace.roots(CHANNEL) if model_id in title(each)]
        return roots if roots and like in title(roots[0]) else None

    return await eventually(found, what=f"a root about {model_id} like {like}")


async def replies_to(slack: Slack, root: Posted) -> list[str]:
    """Titles of the replies, once there is one: the root is edited apart from its thread, and may be first."""

    async def found() -> list[str]:
        return [title(each) for each in slack.workspace.replies(root)]

    return await eventually(found, what="a reply to the root")


async def test_settings_alone_make_a_bot_that_holds_a_conversation(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    with notifier(tmp_path, **settings_of(kafka_bootstrap, database_url, slack)) as service:
        await service.ready()
        await publish(producer, opened_warn(incident=201, model_id="talks"))
        await roots_of(slack, "talks", "Warning: drift")
        await publish(producer, acknowledged(incident=201, model_id="talks"))
        (root,) = await roots_of(slack, "talks", "acknowledged by Ada Lovelace")

        assert await replies_to(slack, root) == ["⚪ Acknowledged · talks"]
        edits = 'sentryml_conversation_edit_total{channel="slack-bot",outcome="delivered",reason="ok"}'

        async def counted() -> bool:
            metrics = await service.get("/metrics")
            return metrics is not None and edits in metrics.text

        await eventually(counted, what="the edit to be counted")  # after Slack has shown it
        assert await service.stop() == 0
    assert "xoxb-" not in service.log.read_text()
    page = render_page([], slack.workspace)
    assert "(edited)" in page
    assert 'class="thread"' in page


async def test_killed_while_sending_it_finds_what_has_arrived(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    settings = settings_of(kafka_bootstrap, database_url, slack, delivery_lease_seconds=str(SHORTEST_LEASE_SECONDS))
    slack.api.play(ApiScript(method="chat.postMessage", delay_seconds=5, accept=True, times=1000))
    with notifier(tmp_path, **settings) as service:
        await service.ready()
        await publish(producer, opened_warn(incident=202, model_id="killed-bot"))
        await roots_of(slack, "killed-bot", "Warning: drift")
        await service.stop(signal.SIGKILL)
    slack.api.stop_playing()
    with notifier(tmp_path, **settings) as service:
        await publish(producer, escalated(incident=202, model_id="killed-bot"))
        roots = await roots_of(slack, "killed-bot", "CRITICAL drift")
        reported = await replies_to(slack, roots[0])
    assert [title(each) for each in roots] == ["🔴 CRITICAL drift · killed-bot"], "one root, and no repeat"
    assert reported == ["🔴 CRITICAL drift, escalated · killed-bot"]


async def test_a_press_is_answered_though_incidents_is_away(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    slack.workspace.emails[ADA] = "ada@example.org"
    more = {
        "incidents_url": "http://127.0.0.1:1",
        "internal_secret": "between us " * 4,
        "slack_app_token": "xapp-stand-in",
    }
    async with open_sockets(slack.workspace) as sockets:
        more["allowed_hosts"] = f"{slack.authority},{(slack.workspace.socket_url or '').split('/')[2]}"
        with notifier(tmp_path, **settings_of(kafka_bootstrap, database_url, slack) | more) as service:
            await service.ready()
            await publish(producer, opened_warn(incident=203, model_id="pressed"))
            (root,) = await roots_of(slack, "pressed", "Warning: drift")
            payload = press_payload(root, ADA, "acknowledge")
            body, headers = signed(payload, SIGNING, system_clock().timestamp())
            async with http_client() as client:
                answer = await client.post(service.url + PATH, content=body, headers=headers)
            assert answer.status_code == 200
            await sockets.send(payload)

            async def answers() -> list[str] | None:
                found = [as_text(each.payload) for each in slack.workspace.messages if each.only_for == ADA]
                return found if len(found) == 2 else None

            for reported in await eventually(answers, what="two answers"):
                assert "did not answer" in reported
                assert "Open incident #203" in reported
    log = service.log.read_text()
    for secret in ("xoxb-", "xapp-", SIGNING, "between us", "s3cr3t-ticket"):
        assert secret not in log


def test_a_bot_without_a_channel_stops_the_start(tmp_path: Path, database_url: str) -> None:
    settings = {"postgres_url": database_url, "slack_bot_token": "xoxb-verysecret"}
    with notifier(tmp_path, **settings) as service:
        assert service.process.wait(timeout=LONG_SECONDS) == 78
    log = service.log.read_text()
    assert "SENTRYML_SLACK_CHANNEL" in log
    assert "verysecret" not in log


def test_a_token_that_is_no_bots_stops_the_start(tmp_path: Path, database_url: str) -> None:
    settings = {"postgres_url": database_url, "slack_bot_token": "xoxp-verysecret", "slack_channel": CHANNEL}
    with notifier(tmp_path, **settings) as service:
        assert service.process.wait(timeout=LONG_SECONDS) == 78
    log = service.log.read_text()
    assert "begins with xoxb-" in log
    assert "verysecret" not in log

"""No channel's secret is anywhere: entered well and wrongly, sent with and failed with, then looked for in all that is
left behind by a real process: logs, answers, tables, topics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from sentryml_common.contracts.api_key import ApiKey, Scope, form_key, hash_key
from sentryml_common.contracts.message import encode
from sentryml_common.contracts.topics import API_KEYS
from tests.integration.keys.test_secrecy import everything_in, everything_kept
from tests.integration.notifier.conftest import TOKEN, Slack
from tests.integration.notifier.test_service import Notifier, notifier, producer, publish, settings_of, titles_of
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.unit.notifier.builders import opened_critical

__all__ = ["producer"]

KEY_ID, KEY = "secrecytest0", form_key("secrecytest0", "S" * 43)
SECRET_BOX_KEY = "vaultkeyvaultkeyvaultkeyvaultkey"
OF_SETTING, GOOD, REPLACED, GONE, MISPLACED = (f"B0{letter * 10}" for letter in "STUVW")
"""A part of each address that nothing else holds."""


def address(slack: Slack, marker: str, token: str = TOKEN) -> str:
    return f"http://{slack.authority}/services/T0TEST/{marker}/{token}"


class Asker:
    """Asks one notifier and keeps all that it says."""

    def __init__(self, service: Notifier) -> None:
        self.url, self.said = service.url, list[bytes]()

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {KEY}", **how.pop("headers", {})}
        async with http_client(timeout=30) as client:
            answer = await client.request(method, self.url + path, headers=headers, **how)
        self.said += [answer.content, str(answer.headers.raw).encode()]
        return answer

    async def make(self, name: str, url: str) -> str:
        body = {"name": name, "kind": "slack_webhook", "secret": {"url": url}}
        made = (await self.ask("POST", "/v1/channels", json=body)).json()
        route = {"name": name, "channel_id": made["channel_id"]}
        assert (await self.ask("POST", "/v1/routes", json=route)).status_code == 201
        return str(made["channel_id"])


async def use_wrongly(asker: Asker, channel_id: str, secret: str) -> None:
    """A secret in every place where a person may put it by mistake."""
    path, right = f"/v1/channels/{channel_id}", {"name": "x", "kind": "slack_webhook", "secret": {"url": secret}}
    bodies = [
        {**right, "name": secret},
        {**right, "kind": secret},
        {**right, "settings": {"url": secret}},
        {**right, "settings": {secret: 1}},
        {**right, "settings": secret},
        {**right, "secret": secret},
        {**right, "secret": {secret: 1}},
        {**right, "secret": {"url": [secret]}},
        {**right, "secret": {"url": secret.replace("127.0.0.1", "evil.example")}},
        {**right, "secret": {"url": secret + "#x"}},
        {**right, secret: 1},
        [secret],
        secret,
    ]
    asked: list[tuple[str, str, dict[str, Any]]] = [
        *(("POST", "/v1/channels", {"json": body}) for body in bodies),
        *(("PATCH", path, {"json": body}) for body in bodies),
        ("POST", "/v1/channels", {"content": secret, "headers": {"content-type": "application/json"}}),
        ("POST", "/v1/channels", {"content": secret}),
        ("GET", f"/v1/channels/{secret}", {}),
        ("GET", f"/v1/deliveries?cursor={secret}", {}),
        ("GET", f"/v1/deliveries?model={secret}", {}),
        ("GET", f"/v1/deliveries?state={secret}", {}),
        ("POST", "/v1/routes", {"json": {"name": secret, "channel_id": channel_id}}),
        ("POST", "/v1/routes", {"json": {"name": "x", "channel_id": secret}}),
        ("POST", "/v1/routes", {"json": {"name": "x", "channel_id": channel_id, "model_patterns": [secret]}}),
        ("POST", "/v1/routes:preview", {"json": {"model_id": secret}}),
        ("POST", "/v1/routes:preview", {"json": {"transition_id": secret}}),
        ("GET", "/v1/routes", {"headers": {"Authorization": f"Bearer {secret}"}}),
    ]
    for method, where, how in asked:
        answer = await asker.ask(method, where, **how)
        assert 400 <= answer.status_code < 500, f"{method} {where[:40]}: {answer.status_code}"


def assert_nowhere(where: str, found: Iterable[bytes]) -> None:
    secrets = [each.encode() for each in (OF_SETTING, GOOD, REPLACED, GONE, MISPLACED, SECRET_BOX_KEY)]
    for text in found:
        assert not any(secret in text for secret in secrets), f"a secret is in {where}: {text[:300]!r}"


async def test_no_secret_is_in_logs_answers_the_database_or_a_topic(
    kafka_bootstrap: str, database_url: str, slack: Slack, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    known = ApiKey(key_id=KEY_ID, name="test", key_hash=hash_key(KEY), scopes=(Scope.ADMIN,))
    await producer.send_and_wait(API_KEYS.name, encode(known), KEY_ID.encode())
    settings = settings_of(
        kafka_bootstrap, database_url, slack,
        log_level="debug", secrets_keys=SECRET_BOX_KEY, slack_webhook_url=address(slack, OF_SETTING),
    )  # fmt: skip
    with notifier(tmp_path, **settings) as service:
        await service.ready()
        asker = Asker(service)
        good = await asker.make("good", address(slack, GOOD))
        gone = await asker.make("gone", address(slack, GONE, "wrong"))
        for channel_id in (good, gone):
            assert (await asker.ask("POST", f"/v1/channels/{channel_id}:test")).status_code == 200
        await use_wrongly(asker, good, address(slack, MISPLACED, "misplaced"))
        await publish(producer, opened_critical(incident=301, model_id="secrecy"))
        await titles_of(slack, "secrecy", 2)

        async def broken() -> bool:
            return (await asker.ask("GET", f"/v1/channels/{gone}")).json()["state"] == "broken"  # type: ignore[no-any-return]

        await eventually(broken, what="the wrong channel to break")
        replaced = {"secret": {"url": address(slack, REPLACED)}}
        assert (await asker.ask("PATCH", f"/v1/channels/{gone}", json=replaced)).status_code == 200
        await titles_of(slack, "secrecy", 3)
        for path in ("channels", "routes", "deliveries", "changes", f"channels/{gone}"):
            assert (await asker.ask("GET", f"/v1/{path}")).status_code == 200
        for path in ("/metrics", "/readyz", "/openapi.json"):
            await asker.ask("GET", path)
        assert await service.stop() == 0
        logs = [service.log.read_bytes()]
    records, rows = await everything_in(kafka_bootstrap), await everything_kept(database_url)
    assert any(b"channel_opened" in log for log in logs), "the right log is looked at"
    assert any(b"301" in row for row in rows), "the right database is looked at"
    assert any(KEY_ID.encode() in record for record in records), "the right topics are read"
    assert_nowhere("an answer", asker.said)
    assert_nowhere("a log", logs)
    assert_nowhere("a topic", records)
    assert_nowhere("the database", rows)

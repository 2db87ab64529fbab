"""Socket Mode: presses of buttons come over a connection that we open, so that no port of ours need be open.

On aiohttp's websockets and not slack_sdk's client: that one takes proxies from the environment, sleeps out rate limits
inside a call, and writes addresses with their tickets into the log. An envelope is confirmed when it is read, within
Slack's three seconds; of several replicas, Slack sends each press to one.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from uuid import UUID

import aiohttp
import orjson

from sentryml_common.logging import get_logger
from sentryml_notifier.channel_registry import ChannelRegistry, OpenChannel
from sentryml_notifier.channels.outbound import read_url
from sentryml_notifier.channels.slack_bot.sender import SlackBot
from sentryml_notifier.domain.delivery import SendResult
from sentryml_notifier.metrics import SLACK_SOCKET
from sentryml_notifier.slack.interactions import SlackInteractions

log = get_logger(__name__)

CHECK_CHANNELS_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0
CONNECT_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
MOST_MESSAGE_BYTES = 1024 * 1024
SLACKS_DOMAINS = (".slack.com", ".slack-gov.com")


class NotConnected(Exception):
    """There is no connection; the message says why, and shows no secret."""


class SocketMode:
    """Keeps a connection for each bot of the registry that has an app-level token."""

    def __init__(
        self, registry: ChannelRegistry, interactions: SlackInteractions, allowed_hosts: frozenset[str]
    ) -> None:
        self._registry, self._interactions, self._allowed_hosts = registry, interactions, allowed_hosts

    async def run(self) -> None:
        """Connect until cancelled, as channels come and change."""
        served: dict[UUID, tuple[OpenChannel, asyncio.Task[None]]] = {}
        async with aiohttp.ClientSession(trust_env=False) as session, asyncio.TaskGroup() as group:
            while True:
                configured = {each.channel_id: each for each in self._registry.opened.values() if _app_token_of(each)}
                for channel_id, (channel, task) in list(served.items()):
                    if configured.get(channel_id) is not channel:
                        del served[channel_id]
                        task.cancel()
                for channel_id in configured.keys() - served.keys():
                    channel = configured[channel_id]
                    task = group.create_task(self._keep_open(session, channel), name=f"socket-{channel.name}")
                    served[channel_id] = channel, task
                await asyncio.sleep(CHECK_CHANNELS_SECONDS)

    async def _keep_open(self, session: aiohttp.ClientSession, channel: OpenChannel) -> None:
        failures = 0
        while True:
            try:
                await self._listen(session, channel)
                failures = 0
            except NotConnected as err:
                failures += 1
                log.warning("socket_not_connected", channel=channel.name, why=str(err), failures=failures)
            except (aiohttp.ClientError, TimeoutError, OSError) as err:
                failures += 1
                # The texts of these may show the address, and with it the ticket.
                log.warning("socket_broken", channel=channel.name, why=type(err).__name__, failures=failures)
            finally:
                SLACK_SOCKET.labels(channel=channel.name).set(0)
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
            await asyncio.sleep(longest * random.random() if failures else 0)

    async def _listen(self, session: aiohttp.ClientSession, channel: OpenChannel) -> None:
        """Connect, and take presses until Slack wants another connection.

        Raises:
            NotConnected: Slack gives no address, or one that is not its own.
            ClientError, TimeoutError, OSError: the connection does not come about, or breaks.
        """
        bot = channel.channel
        assert isinstance(bot, SlackBot)
        address = await self._address(bot)
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await session.ws_connect(address, heartbeat=HEARTBEAT_SECONDS, max_msg_size=MOST_MESSAGE_BYTES)
        async with socket:
            SLACK_SOCKET.labels(channel=channel.name).set(1)
            log.info("socket_connected", channel=channel.name)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT and not await self._take(bot, socket, message.data):
                    return

    async def _address(self, bot: SlackBot) -> str:
        assert bot.secret.app_token is not None
        answer = await replace(bot.api, token=bot.secret.app_token).call("apps.connections.open")
        if isinstance(answer, SendResult):
            raise NotConnected(f"Slack gives no connection ({answer.reason}): is the app-level token right, and has it "
                               "the scope connections:write?")  # fmt: skip
        address = str(answer.get("url", ""))
        try:
            url = read_url(address)
        except ValueError as err:
            raise NotConnected("Slack gives an address that is none") from err
        port = url.port or {"ws": 80, "wss": 443}.get(url.scheme, 0)
        if f"{url.host}:{port}" in self._allowed_hosts and url.scheme in ("ws", "wss"):
            return address
        if url.scheme != "wss" or port != 443 or not url.host.endswith(SLACKS_DOMAINS):
            raise NotConnected("Slack gives an address that is not Slack's own")
        return address

    async def _take(self, bot: SlackBot, socket: aiohttp.ClientWebSocketResponse, text: str) -> bool:
        """Confirm an envelope and take what is in it; False if Slack wants another connection."""
        try:
            envelope = orjson.loads(text)
        except orjson.JSONDecodeError:
            return True
        if not isinstance(envelope, dict):
            return True
        if envelope.get("type") == "disconnect":
            if envelope.get("reason") == "link_disabled":
                raise NotConnected("Socket Mode is switched off in the Slack app: switch it on")
            return False
        if "envelope_id" in envelope:
            await socket.send_str(orjson.dumps({"envelope_id": envelope["envelope_id"]}).decode())
        if envelope.get("type") == "interactive":
            self._interactions.take(bot, envelope.get("payload"))
        return True


def _app_token_of(channel: OpenChannel) -> bool:
    return isinstance(channel.channel, SlackBot) and channel.channel.secret.app_token is not None

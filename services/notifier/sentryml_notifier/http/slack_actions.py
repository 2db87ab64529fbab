"""`POST /v1/slack/interactions`: presses of buttons, signed by Slack.

The signature is over the body as it came, and good for five minutes either way; whose secret fits, his bot it is. A
request that is sent again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, Request, Response
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier

from sentryml_common.clock import Clock
from sentryml_common.errors import Unavailable
from sentryml_common.http.bodies import read_body, receive_of
from sentryml_common.http.problems import Problem
from sentryml_notifier.channel_registry import ChannelRegistry
from sentryml_notifier.channels.slack_bot.sender import SlackBot
from sentryml_notifier.slack.interactions import SlackInteractions

PATH = "/v1/slack/interactions"
MOST_BODY_BYTES = 256 * 1024
"""Slack sends the message along with the press, which is some 20 KB."""


class Interactions:
    """Filled by the wiring once there are channels."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.registry: ChannelRegistry | None = None
        self.handler: SlackInteractions | None = None

    async def receive(self, request: Request) -> None:
        """Take what Slack sent.

        Raises:
            Problem: 401 no bot's signing secret fits, or it is old; 413 it is too long; 422 it holds no payload.
            Unavailable: the service is starting.
        """
        if self.registry is None or self.handler is None:
            raise Unavailable("the notifier is still starting")
        body = await read_body(receive_of(request), MOST_BODY_BYTES, "a press of a button")
        bot = self._signed_for(self.registry, request, body)
        if bot is None:
            raise Problem(
                401,
                "not-signed-by-slack",
                "this is for Slack, which signs what it sends: give the signing secret of the Slack app to the channel",
            )
        self.handler.take(bot, _payload_of(body))

    def _signed_for(self, registry: ChannelRegistry, request: Request, body: bytes) -> SlackBot | None:
        bots: Iterable[SlackBot] = (
            each.channel for each in registry.opened.values() if isinstance(each.channel, SlackBot)
        )
        return next((bot for bot in bots if self._fits(bot, request, body)), None)

    def _fits(self, bot: SlackBot, request: Request, body: bytes) -> bool:
        if bot.secret.signing_secret is None:
            return False
        verifier = SignatureVerifier(bot.secret.signing_secret.get_secret_value(), _AsSlackWants(self._clock))
        try:
            return verifier.is_valid_request(body, dict(request.headers))
        except (ValueError, TypeError, OverflowError):
            # A time that is no number, a signature or a body that is no text.
            return False


class _AsSlackWants(SlackClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock().timestamp()


def interaction_routes(interactions: Interactions) -> APIRouter:
    """The one route: it takes no API key, Slack's signature is its key."""
    router = APIRouter()

    @router.post(PATH, include_in_schema=False)
    async def receive(request: Request) -> Response:
        await interactions.receive(request)
        return Response()

    return router


def _payload_of(body: bytes) -> object:
    """The payload in a form. The signature has shown that the body is UTF-8 from Slack."""
    try:
        payload: object = orjson.loads(parse_qs(body.decode("utf-8")).get("payload", [""])[0])
    except ValueError as err:
        raise Problem(422, "not-json", "the field payload should hold JSON, as Slack sends it", errors=[]) from err
    return payload

"""The signed webhook: its signature, what a receiver's answers mean, what a secret looks like."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from sentryml_common.contracts.transition import TransitionKind
from sentryml_notifier.channels.answers import check_address
from sentryml_notifier.channels.base import ChannelMisconfigured, Identity
from sentryml_notifier.channels.outbound import Guard
from sentryml_notifier.channels.posting import Answer
from sentryml_notifier.channels.webhook.sender import judge, read_key, signed
from sentryml_notifier.domain.delivery import Outcome

OPS = Identity(UUID(int=2), "ops")


def test_signature_is_that_of_the_convention() -> None:
    """Key, content and signature are those of the convention's own test, which its libraries pass."""
    key = read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        [key],
        lambda: datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_several_secrets_make_several_signatures() -> None:
    keys = [b"o" * 24, b"n" * 24]
    one, other = (
        signed("id", b"{}", [key], lambda: datetime(2026, 1, 1, tzinfo=UTC))["webhook-signature"] for key in keys
    )
    both = signed("id", b"{}", keys, lambda: datetime(2026, 1, 1, tzinfo=UTC))["webhook-signature"]
    assert both == f"{one} {other}"
    assert one != other


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome", "reason"),
    [
        (200, None, Outcome.DELIVERED, "ok"),
        (202, None, Outcome.DELIVERED, "ok"),
        (204, None, Outcome.DELIVERED, "ok"),
        (302, None, Outcome.CHANNEL_REFUSED, "redirect"),
        (308, None, Outcome.CHANNEL_REFUSED, "redirect"),
        (400, None, Outcome.CHANNEL_REFUSED, "refused"),
        (401, None, Outcome.CHANNEL_REFUSED, "refused"),
        (403, None, Outcome.CHANNEL_REFUSED, "refused"),
        (404, None, Outcome.CHANNEL_REFUSED, "not_found"),
        (408, None, Outcome.UNCERTAIN, "http_408"),
        (409, None, Outcome.CHANNEL_REFUSED, "http_4xx"),
        (410, None, Outcome.CHANNEL_REFUSED, "gone"),
        (413, None, Outcome.MESSAGE_REFUSED, "http_413"),
        (422, None, Outcome.MESSAGE_REFUSED, "http_422"),
        (425, None, Outcome.NOT_ACCEPTED, "http_425"),
        (429, None, Outcome.RATE_LIMITED, "rate_limited"),
        (429, 7.0, Outcome.RATE_LIMITED, "rate_limited"),
        (500, 7.0, Outcome.UNCERTAIN, "http_5xx"),
        (502, None, Outcome.NOT_ACCEPTED, "http_502"),
        (503, None, Outcome.NOT_ACCEPTED, "http_503"),
        (503, 7.0, Outcome.RATE_LIMITED, "http_503"),
        (504, None, Outcome.UNCERTAIN, "http_5xx"),
        (599, None, Outcome.UNCERTAIN, "http_5xx"),
    ],
)
def test_answer_means(status: int, retry_after: float | None, outcome: Outcome, reason: str) -> None:
    result = judge(Answer(status, "whatever <b>it</b> says", retry_after), OPS.fix)
    assert (result.outcome, result.reason, result.http_status) == (outcome, reason, status)
    assert result.retry_after_seconds == retry_after
    assert result.for_good == (status == 410)
    assert "<b>" not in result.text


@pytest.mark.parametrize("status", [302, 400, 404, 409, 410])
def test_broken_channel_says_what_to_do_and_what_happens_then(status: int) -> None:
    text = judge(Answer(status, "", None), OPS.fix).text
    assert str(status) in text
    assert "enter it for the channel ops" in text
    assert ("retried every 15 minutes" in text) == (status != 410)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "verysecret",
        b64encode(b"verysecret" * 4).decode(),
        "whsec_" + b64encode(b"x" * 23).decode(),
        "whsec_" + b64encode(b"x" * 65).decode(),
        "whsec_" + "verysecret!" * 4,
        "whsec_" + b64encode(b"x" * 25).decode().rstrip("="),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ChannelMisconfigured, match="openssl rand -base64 32") as refused:
        read_key(secret)
    assert not secret or secret == "whsec_" or secret not in str(refused.value)


def test_secret_as_the_documentation_makes_it() -> None:
    assert read_key("whsec_" + b64encode(b"r" * 32).decode()) == b"r" * 32


@pytest.mark.parametrize(
    "address", ["http://hooks.example/verysecret", "https://10.0.0.1/verysecret", "x", "https://e x/"]
)
def test_address_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(ChannelMisconfigured) as refused:
        check_address(address, Guard())
    assert "verysecret" not in str(refused.value)
    assert check_address("https://hooks.example/x", Guard()) == httpx.URL("https://hooks.example/x")


def test_every_type_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "webhook.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| `type` |")]
    assert set(re.findall(r"`([a-z_]+)`", row)) - {"type"} == {"test", *TransitionKind}

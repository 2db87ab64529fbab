"""What most vendors' answers mean, and where their addresses may lead. What one does differently is in its folder."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from sentryml_notifier.channels.base import ChannelMisconfigured
from sentryml_notifier.channels.outbound import Guard, read_url
from sentryml_notifier.channels.posting import Answer
from sentryml_notifier.domain.delivery import TRIED_AGAIN, Outcome, SendResult

TRANSIENT: Mapping[int, Outcome] = {
    408: Outcome.UNCERTAIN,
    425: Outcome.NOT_ACCEPTED,
    502: Outcome.NOT_ACCEPTED,
    503: Outcome.NOT_ACCEPTED,
}


def check_address(address: str, guard: Guard, what: str = "the address") -> httpx.URL:
    """A receiver's address; `what` names it in the error.

    Raises:
        ChannelMisconfigured: it may not be sent to; the message does not show it.
    """
    try:
        url = read_url(address)
    except ValueError:
        raise ChannelMisconfigured(f"{what} is not a URL") from None
    text = guard.why_not_url(url)
    if text is not None:
        raise ChannelMisconfigured(f"{what} {text}")
    return url


def judge_usual(answer: Answer, who: str, fix: str) -> SendResult:
    """What an answer of `who` means by its status alone. `fix` says how to give the channel another secret."""
    outcome, reason, text = _verdict(answer, who, fix)
    return SendResult(outcome, reason, text, answer.status, answer.retry_after_seconds)


def message_refused(answer: Answer, who: str, reason: str = "invalid_message") -> SendResult:
    """`who` does not accept the form of one message; the next attempt is in a simpler one."""
    text = f"{who} refused the form of this message ({answer.status}): a defect of SentryML."
    return SendResult(Outcome.MESSAGE_REFUSED, reason, text, answer.status)


def channel_refused(answer: Answer, reason: str, text: str) -> SendResult:
    """No message is accepted until somebody does what `text` says."""
    return SendResult(Outcome.CHANNEL_REFUSED, reason, f"{text} {TRIED_AGAIN}", answer.status)


def _verdict(answer: Answer, who: str, fix: str) -> tuple[Outcome, str, str]:
    status = answer.status
    if 200 <= status < 300:
        return Outcome.DELIVERED, "ok", f"Accepted by {who}."
    if status == 429 or (status == 503 and answer.retry_after_seconds is not None):
        return Outcome.RATE_LIMITED, "rate_limited", f"{who} asked to send more slowly ({status})."
    if status == 413:
        return Outcome.MESSAGE_REFUSED, "too_large", f"{who} refused this message: too large (413)."
    if status in TRANSIENT:
        return TRANSIENT[status], f"http_{status}", f"{who} is not available at the moment ({status})."
    if status >= 500:
        text = f"{who} had an internal error ({status}); the message may have arrived."
        return Outcome.UNCERTAIN, "http_5xx", text
    return _refusal(status, who, fix)


def _refusal(status: int, who: str, fix: str) -> tuple[Outcome, str, str]:
    """What stays wrong until a person fixes it."""
    if 300 <= status < 400:
        reason, text = "redirect", f"{who} answers with a redirect ({status}), which SentryML does not follow."
    elif status in (401, 403):
        reason, text = "not_authorised", f"{who} does not accept the channel's secret ({status})."
    elif status in (404, 410):
        reason, text = (
            "not_found",
            f"{who} does not know the channel's address ({status}): it was removed, or is wrong.",
        )
    else:
        reason, text = "http_4xx", f"{who} refuses messages ({status})."
    return Outcome.CHANNEL_REFUSED, reason, f"{text} For another one, {fix}. {TRIED_AGAIN}"

"""What a mail server's answers mean. Its texts are not passed on; its codes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from sentryml_notifier.channels.outbound import untrusted
from sentryml_notifier.channels.posting import not_connected
from sentryml_notifier.domain.delivery import TRIED_AGAIN, Outcome, SendResult

SERVER = "The mail server"
NOT_AVAILABLE = 421
SIGN_IN_CODES = (530, 534, 535, 538)


class Stage(StrEnum):
    """What an attempt was about when it ended."""

    CONNECTING = "connecting"
    SIGN_IN = "signing in"
    SENDER = "naming the sender"
    RECIPIENTS = "naming the recipients"
    CONTENT = "handing over the mail"


def judge(code: int, stage: Stage, fix: str) -> SendResult:
    """What a refusal means."""
    if code < 400:
        return _uncertain("strange_answer", "gave an invalid answer") if stage is Stage.CONTENT else _later(code)
    if code < 500:
        return _later(code)
    if stage is Stage.CONTENT:
        text = f"{SERVER} refused this one mail ({code}): too large for it, or taken for spam."
        return SendResult(Outcome.MESSAGE_REFUSED, "content_refused", text)
    if stage is Stage.SIGN_IN or code in SIGN_IN_CODES:
        text = f"{SERVER} does not accept the user and password, or requires them ({code}). For others, {fix}."
        return _broken("sign_in_refused", text)
    if stage is Stage.SENDER:
        text = f"{SERVER} does not accept this sender ({code}). Use a sender address that it accepts, or sign in."
        return _broken("sender_refused", text)
    return _broken("smtp_5xx", f"{SERVER} refuses the connection of SentryML ({code}, while {stage}).")


def judge_recipients(took: Sequence[str], refused: Mapping[str, int], some_had_it: bool) -> SendResult:
    """What it means that the mail was handed over for some and not for others.

    One who is refused for good is reported and given up, as long as the mail was accepted for anybody; one who was
    deferred keeps it going, and is retried alone.
    """
    if not refused:
        return SendResult(Outcome.DELIVERED, "ok", f"{SERVER} accepted it.")
    names = ", ".join(f"{name} ({code})" for name, code in refused.items())
    put_off = any(code < 500 for code in refused.values())
    if not took and not some_had_it:
        if put_off:
            text = f"{SERVER} accepts none of the recipients at the moment: {names}."
            return SendResult(Outcome.NOT_ACCEPTED, "recipients_put_off", text)
        return _broken("recipients_refused", f"{SERVER} does not know any of the recipients: {names}. Enter others.")
    if put_off:
        text = f"Delivered to the others; deferred for now: {names}."
        return SendResult(Outcome.UNCERTAIN, "some_put_off", text)
    return SendResult(
        Outcome.DELIVERED, "some_refused", f"{SERVER} accepted it, but refused: {names}. Check these addresses."
    )


def strange(error: Exception, stage: Stage) -> SendResult:
    """What it means that the talk ended without an answer."""
    if untrusted(error):
        return not_connected(error, SERVER)
    if stage is Stage.CONTENT:
        return _uncertain("connection_lost", "did not say whether it accepted the mail")
    text = f"{SERVER} closed the connection or did not answer in time, while {stage}; nothing was delivered."
    return SendResult(Outcome.NOT_ACCEPTED, "no_answer", text)


def not_offered(what: str, reason: str) -> SendResult:
    """The server lacks what the channel is configured for."""
    return _broken(reason, f"{SERVER} does not offer {what}. Check host, port and `tls` of the channel.")


def _later(code: int) -> SendResult:
    if code == NOT_AVAILABLE:
        return SendResult(Outcome.NOT_ACCEPTED, "smtp_421", f"{SERVER} is not available at the moment (421).")
    return SendResult(Outcome.NOT_ACCEPTED, "smtp_4xx", f"{SERVER} asked to try again later ({code}).")


def _uncertain(reason: str, text: str) -> SendResult:
    return SendResult(Outcome.UNCERTAIN, reason, f"{SERVER} {text}; the message may have arrived.")


def _broken(reason: str, text: str) -> SendResult:
    return SendResult(Outcome.CHANNEL_REFUSED, reason, f"{text} {TRIED_AGAIN}")

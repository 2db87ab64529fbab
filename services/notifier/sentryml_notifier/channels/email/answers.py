"""What a mail server's answers mean. Of its words none are passed on; its codes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from sentryml_notifier.channels.outbound import untrusted
from sentryml_notifier.channels.posting import not_connected
from sentryml_notifier.domain.delivery import Outcome, SendResult

SERVER = "The mail server"
TRIED_AGAIN = "It is tried again every 15 minutes, and what waits goes out as soon as it works."
NOT_AVAILABLE = 421
SIGN_IN_CODES = (530, 534, 535, 538)


class Stage(StrEnum):
    """What an attempt was about when it ended."""

    CONNECTING = "connecting"
    SIGN_IN = "signing in"
    SENDER = "naming the sender"
    RECIPIENTS = "naming the recipients"
    CONTENT = "handing over the mail"


def judge(code: int, stage: Stage, mend: str) -> SendResult:
    """What a refusal means."""
    if code < 400:
        return _uncertain("strange_answer", "gave an answer that is none") if stage is Stage.CONTENT else _later(code)
    if code < 500:
        return _later(code)
    if stage is Stage.CONTENT:
        words = f"{SERVER} refused this one mail ({code}): too large for it, or taken for spam."
        return SendResult(Outcome.MESSAGE_REFUSED, "content_refused", words)
    if stage is Stage.SIGN_IN or code in SIGN_IN_CODES:
        words = f"{SERVER} does not accept the user and the password, or wants some ({code}). For others, {mend}."
        return _broken("sign_in_refused", words)
    if stage is Stage.SENDER:
        words = f"{SERVER} does not send for this sender ({code}). Use an address that it knows as its own, or sign in."
        return _broken("sender_refused", words)
    return _broken("smtp_5xx", f"{SERVER} refuses to talk to SentryML ({code}, while {stage}).")


def judge_recipients(took: Sequence[str], refused: Mapping[str, int], some_had_it: bool) -> SendResult:
    """What it means that the mail was handed over for some and not for others.

    One who is refused for good is told of and done with, as long as anybody has the mail; one who was put off keeps it
    going, and is tried again alone.
    """
    if not refused:
        return SendResult(Outcome.DELIVERED, "ok", f"{SERVER} has it.")
    names = ", ".join(f"{name} ({code})" for name, code in refused.items())
    put_off = any(code < 500 for code in refused.values())
    if not took and not some_had_it:
        if put_off:
            words = f"{SERVER} takes mail for none of the recipients at the moment: {names}."
            return SendResult(Outcome.NOT_ACCEPTED, "recipients_put_off", words)
        return _broken("recipients_refused", f"{SERVER} knows none of the recipients: {names}. Name others.")
    if put_off:
        words = f"The others have it; put off for now: {names}."
        return SendResult(Outcome.UNCERTAIN, "some_put_off", words)
    return SendResult(
        Outcome.DELIVERED, "some_refused", f"{SERVER} has it, but refuses: {names}. Check these addresses."
    )


def strange(error: Exception, stage: Stage) -> SendResult:
    """What it means that the talk ended without an answer."""
    if untrusted(error):
        return not_connected(error, SERVER)
    if stage is Stage.CONTENT:
        return _uncertain("connection_lost", "did not say whether it has the mail")
    words = f"{SERVER} broke off or did not answer in time, while {stage}; it has nothing."
    return SendResult(Outcome.NOT_ACCEPTED, "no_answer", words)


def not_offered(what: str, reason: str) -> SendResult:
    """The server lacks what the channel is configured for."""
    return _broken(reason, f"{SERVER} does not offer {what}. Check host, port and `tls` of the channel.")


def _later(code: int) -> SendResult:
    if code == NOT_AVAILABLE:
        return SendResult(Outcome.NOT_ACCEPTED, "smtp_421", f"{SERVER} is not available at the moment (421).")
    return SendResult(Outcome.NOT_ACCEPTED, "smtp_4xx", f"{SERVER} asked to try again later ({code}).")


def _uncertain(reason: str, words: str) -> SendResult:
    return SendResult(Outcome.UNCERTAIN, reason, f"{SERVER} {words}; the message may have arrived.")


def _broken(reason: str, words: str) -> SendResult:
    return SendResult(Outcome.CHANNEL_REFUSED, reason, f"{words} {TRIED_AGAIN}")

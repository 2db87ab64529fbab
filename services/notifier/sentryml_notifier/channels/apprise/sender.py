"""Everything else, by apprise: an extra that the operator enables service by service.

Apprise makes its own connections, so addresses are not checked as they are for the other kinds, and it says of a
failure only that it was one: perhaps delivered. It blocks and cannot be stopped, so each message has a thread of its
own that nobody waits for longer than for any other channel; a service that hangs holds a few threads and nobody else.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from pydantic import Field, SecretStr

from sentryml_notifier.channels.base import (
    HIDDEN,
    ChannelMisconfigured,
    Config,
    Identity,
    Kind,
    Nothing,
    Outgoing,
    Tools,
)
from sentryml_notifier.channels.plain_text import as_text
from sentryml_notifier.domain.delivery import Outcome, SendResult
from sentryml_notifier.domain.message import Tone

SETTING = "SENTRYML_APPRISE_SCHEMAS"
NOT_INSTALLED = (
    "the package apprise is not installed: pip install 'sentryml-notifier[apprise]', and restart the notifier"
)

# What shows messages on the machine that the notifier runs on, or reads its files: nobody there would see them.
LOCAL = frozenset({"blink1", "dbus", "file", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
# Parts of an address that make apprise read files, follow redirects, trust anybody, try again or take time by itself,
# or call a failure a success.
NOT_OURS = frozenset(
    {
        "attach", "config", "cto", "file_url", "keyfile", "optional", "pem", "pgp", "pgpkey", "pgpprv", "pgppub",
        "redirect", "retry", "rto", "store", "subfile", "template", "timeout", "verify", "wait", "wkd",
    }
)  # fmt: skip
THREADS_MAX = 2
KINDS_OF_NOTICE = {Tone.CRITICAL: "failure", Tone.WARN: "warning", Tone.CALM: "success", Tone.NEUTRAL: "info"}


class AppriseSecret(Config):
    """What is secret: the whole address, which mostly holds a token."""

    url: SecretStr = Field(title="Apprise address", examples=["ntfys://topic"])


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """A channel that is one service of apprise's."""

    service: Any
    send_seconds: float
    threads: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(THREADS_MAX))

    async def send(self, outgoing: Outgoing) -> SendResult:
        if not self.threads.acquire(blocking=False):
            text = "The service has not answered earlier messages yet; this one was not sent."
            return SendResult(Outcome.NOT_ACCEPTED, "busy", text)
        try:
            async with asyncio.timeout(self.send_seconds):
                took = await _in_a_thread(lambda: self._notify(outgoing), self.threads.release)
        except TimeoutError:
            text = f"The service did not answer within {self.send_seconds:g} s; the message may have arrived."
            return SendResult(Outcome.UNCERTAIN, "timeout", text)
        except Exception as err:
            text = f"Apprise failed ({type(err).__name__}); the message may have arrived."
            return SendResult(Outcome.UNCERTAIN, "failed", text)
        if not took:
            text = (
                "Apprise reported a failure without a reason; the message may have arrived. "
                "Check the address if this persists."
            )
            return SendResult(Outcome.UNCERTAIN, "failed", text)
        return SendResult(Outcome.DELIVERED, "ok", "The service accepted it.")

    def _notify(self, outgoing: Outgoing) -> bool:
        message = outgoing.message
        kind = KINDS_OF_NOTICE[message.tone]
        return bool(
            self.service.notify(body=as_text(message), title=message.title, notify_type=kind, body_format="text")
        )


async def _in_a_thread(work: Callable[[], bool], at_end: Callable[[], None]) -> bool:
    """Run `work` in a thread that neither this process nor its end waits for; `at_end` is called when it has ended."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def tell(how: Callable[[Any], None], what: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(lambda: None if done.done() else how(what))

    def run() -> None:
        try:
            took = work()
        except BaseException as err:
            tell(done.set_exception, err)
        else:
            tell(done.set_result, took)
        finally:
            at_end()

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return await done


def open_apprise(tools: Tools, identity: Identity, settings: Nothing, secret: AppriseSecret) -> AppriseChannel:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the service is not allowed, apprise is not installed, or does not know the address.
    """
    address = secret.url.get_secret_value().strip()
    schema = address.partition("://")[0].lower()
    check_address(address, schema, tools.apprise_schemas)
    apprise = load()
    asset = apprise.AppriseAsset(
        app_id="SentryML",
        app_desc="SentryML",
        app_url="",
        image_url_mask=False,
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        pgp_autogen=False,
        pem_autogen=False,
    )
    found = apprise.Apprise.instantiate(address, asset=asset)
    if found is None or schema not in {*_names(found.protocol), *_names(found.secure_protocol)}:
        raise ChannelMisconfigured(f"apprise does not understand this {schema}:// address: see apprise's documentation")
    service = apprise.Apprise(asset=asset)
    service.add(found)
    return AppriseChannel(service, tools.send_seconds)


def hint_of(secret: AppriseSecret) -> str:
    """Which service it is: the beginning of its address."""
    schema, _, rest = secret.url.get_secret_value().partition("://")
    return f"{schema}://{HIDDEN}" if rest else HIDDEN


KIND = Kind(
    "apprise",
    "Another service, by apprise",
    "Some 170 services by their apprise address; the operator has to enable each kind: docs/channels.md.",
    Nothing,
    AppriseSecret,
    open_apprise,
    hint_of,
)


def check_address(address: str, schema: str, allowed: frozenset[str]) -> None:
    """Refuse what the operator has not enabled, and what nobody may.

    Raises:
        ChannelMisconfigured: says what is wrong, and shows nothing of the address but its beginning.
    """
    if "://" not in address or not schema.replace("-", "").isalnum():
        raise ChannelMisconfigured("not an Apprise address, such as ntfys://topic")
    if schema in LOCAL:
        raise ChannelMisconfigured(f"{schema}:// stays on the notifier's machine: it cannot be a channel")
    if schema not in allowed:
        raise ChannelMisconfigured(
            f"{schema}:// is not enabled. The operator enables it: {SETTING}={schema}; its connections are not checked"
        )
    # Not as a URL is parsed: apprise takes a `#` before it for a channel's name.
    given = {name.lower() for name, _ in parse_qsl(address.partition("?")[2], keep_blank_values=True)}
    if unwanted := sorted(given & NOT_OURS):
        raise ChannelMisconfigured(
            f"leave {', '.join(unwanted)} out of the address: that is not for a channel to decide"
        )


def load() -> Any:
    """Apprise with all that it knows; seconds the first time.

    Raises:
        ChannelMisconfigured: it is not installed.
    """
    try:
        apprise = importlib.import_module("apprise")
    except ImportError:
        raise ChannelMisconfigured(NOT_INSTALLED) from None
    # It would log addresses, and what it sends.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    apprise.Apprise.instantiate("json://localhost")
    return apprise


def _names(protocols: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return (protocols,) if isinstance(protocols, str) else tuple(protocols or ())

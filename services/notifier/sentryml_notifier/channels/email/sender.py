"""E-mail through one mail server: one attempt is one connection.

The server's word for the whole mail is what counts: before it nothing is delivered, after it all is, and where the
connection breaks just between, nobody knows. It answers for each recipient separately: what is delivered to some is
reported as delivered with a note about the others, and those who were only deferred are retried alone.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Literal
from uuid import UUID

import httpx
from aiosmtplib import SMTP, SMTPException, SMTPRecipientRefused, SMTPResponseException
from pydantic import AfterValidator, Field, SecretStr

from sentryml_notifier.channels.base import ChannelMisconfigured, Config, Identity, Kind, Outgoing, Tools
from sentryml_notifier.channels.email.answers import SERVER, Stage, judge, judge_recipients, not_offered, strange
from sentryml_notifier.channels.email.form import email_of
from sentryml_notifier.channels.outbound import connect
from sentryml_notifier.channels.posting import not_connected
from sentryml_notifier.domain.addresses import authority_of, to_allow, why_not
from sentryml_notifier.domain.delivery import Outcome, SendResult

PORTS = frozenset({25, 465, 587, 2525})
RECIPIENTS_MAX = 50
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,8}")
REMEMBERED_MAX = 1000


def _check_email(text: str) -> str:
    if not ADDRESS.fullmatch(text):
        raise ValueError("not an e-mail address, like ana@example.org")
    return text


Email = Annotated[str, AfterValidator(_check_email)]


class EmailSettings(Config):
    """Which mail server, and who writes to whom.

    `tls` is `starttls` (usually port 587), `tls` from the first byte (465), or, where the operator allows it, `none`.
    """

    host: str = Field(min_length=1, max_length=253, title="Mail server", examples=["mail.example.org"])
    port: int = Field(587, ge=1, le=65_535, title="Port", description="587 for STARTTLS, 465 for TLS")
    tls: Literal["starttls", "tls", "none"] = Field("starttls", title="Encryption")
    sender: Email = Field(title="From", description="an address that the server sends for")
    recipients: tuple[Email, ...] = Field(
        min_length=1,
        max_length=RECIPIENTS_MAX,
        title="To",
        description="one or more addresses, with spaces between",
        examples=[["ana@example.org"]],
    )


class EmailSecret(Config):
    """How to sign in to the mail server, where it asks for that."""

    user: str | None = Field(None, title="User", description="where the server asks for one")
    password: SecretStr | None = Field(None, title="Password")


@dataclass
class _Progress:
    """How far an attempt has come."""

    stage: Stage = Stage.CONNECTING


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """A channel that is some recipients behind one mail server."""

    tools: Tools
    settings: EmailSettings
    secret: EmailSecret
    fix: str
    reached: OrderedDict[UUID, set[str]] = field(default_factory=OrderedDict)
    """Who has a message that is being retried for others. A restart forgets it, and they get it again, as a repeat."""

    async def send(self, outgoing: Outgoing) -> SendResult:
        """Hand the mail over once."""
        progress, settings = _Progress(), self.settings
        mail = email_of(outgoing, settings.sender, settings.recipients, self.tools.clock())
        try:
            async with asyncio.timeout(self.tools.send_seconds), self._connection(progress) as smtp:
                return await self._hand_over(smtp, mail.as_bytes(), outgoing.message_id, progress)
        except (httpx.ConnectError, httpx.ConnectTimeout) as err:
            return not_connected(err, SERVER)
        except SMTPResponseException as err:
            return judge(err.code, progress.stage, self.fix)
        except (SMTPException, OSError, ValueError) as err:  # time-outs and broken connections among them
            return strange(err, progress.stage)

    @asynccontextmanager
    async def _connection(self, progress: _Progress) -> AsyncIterator[SMTP]:
        settings = self.settings
        sock = await connect(self.tools.guard, settings.host, settings.port)
        here = str(sock.getsockname()[0])
        smtp = SMTP(
            hostname=settings.host,
            sock=sock,
            local_hostname=f"[IPv6:{here}]" if ":" in here else f"[{here}]",
            timeout=self.tools.send_seconds,
            use_tls=settings.tls == "tls",
            start_tls=False,  # we do that, to know what went wrong
            tls_context=self.tools.tls,
        )
        try:
            await smtp.connect()
            await smtp.ehlo()
            yield smtp
        except BaseException:
            transport = smtp.transport
            smtp.close()
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
            raise
        # The server has said what counts: we take our leave without waiting for its answer.
        if smtp.protocol is not None and smtp.is_connected:
            smtp.protocol.write(b"QUIT\r\n")
        smtp.close()

    async def _hand_over(self, smtp: SMTP, mail: bytes, message_id: UUID, progress: _Progress) -> SendResult:
        refusal = await self._sign_in(smtp, progress)
        if refusal is not None:
            return refusal
        progress.stage = Stage.SENDER
        await smtp.mail(self.settings.sender)
        progress.stage = Stage.RECIPIENTS
        has_it = self.reached.get(message_id, set())
        requested = [each for each in self.settings.recipients if each not in has_it]
        refused = await _ask_for_recipients(smtp, requested)
        took = [each for each in requested if each not in refused]
        if took:
            progress.stage = Stage.CONTENT
            await smtp.data(mail)
        result = judge_recipients(took, refused, bool(has_it))
        self._remember(message_id, has_it | set(took), result)
        return result

    async def _sign_in(self, smtp: SMTP, progress: _Progress) -> SendResult | None:
        """Encrypt and sign in as configured; the refusal if the server does not offer that."""
        if self.settings.tls == "starttls":
            if not smtp.supports_extension("starttls"):
                return not_offered("encryption (STARTTLS)", "no_starttls")
            await smtp.starttls()
            await smtp.ehlo()
        progress.stage = Stage.SIGN_IN
        if self.secret.user is None or self.secret.password is None:
            return None
        sign_in = {"plain": smtp.auth_plain, "login": smtp.auth_login, "cram-md5": smtp.auth_crammd5}
        method = next((method for method in sign_in if method in smtp.server_auth_methods), None)
        if method is None:
            return not_offered("a sign-in method that SentryML supports", "no_sign_in")
        await sign_in[method](self.secret.user, self.secret.password.get_secret_value())
        return None

    def _remember(self, message_id: UUID, has_it: set[str], result: SendResult) -> None:
        self.reached.pop(message_id, None)
        if has_it and result.outcome is not Outcome.DELIVERED:
            self.reached[message_id] = has_it
        while len(self.reached) > REMEMBERED_MAX:
            self.reached.popitem(last=False)


async def _ask_for_recipients(smtp: SMTP, requested: Sequence[str]) -> dict[str, int]:
    """Name the recipients; return the codes of those who are refused."""
    refused: dict[str, int] = {}
    for recipient in requested:
        try:
            await smtp.rcpt(recipient)
        except SMTPRecipientRefused as err:
            if not smtp.is_connected:
                raise
            refused[recipient] = err.code
    return refused


def open_email(tools: Tools, identity: Identity, settings: EmailSettings, secret: EmailSecret) -> EmailChannel:
    """A channel of this kind.

    Raises:
        ChannelMisconfigured: the server is not one that may be sent to, or half of the sign-in is missing.
    """
    text = why_not(settings.host, settings.port, PORTS, tools.allowed_hosts)
    authority = authority_of(settings.host, settings.port)
    if text is not None:
        raise ChannelMisconfigured(f"the mail server {text}")
    if settings.tls == "none" and authority not in tools.allowed_hosts:
        raise ChannelMisconfigured(f"without TLS mail is sent only to allowed servers. {to_allow(authority)}")
    if (secret.user is None) != (secret.password is None):
        raise ChannelMisconfigured("enter both a user and a password for the mail server, or neither")
    return EmailChannel(tools, settings, secret, identity.fix)


KIND = Kind(
    "email",
    "E-mail",
    "Plain and HTML mail by your mail server.",
    EmailSettings,
    EmailSecret,
    open_email,
    threads=True,
)

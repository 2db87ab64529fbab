"""A real mail server that keeps what it takes, and refuses what a test wants it to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

OK = "250 OK"


@dataclass
class MailServer:
    """Where it listens, what it took, and how it answers.

    `refusals` are answers by recipient, `to_sender` and `to_content` those to the sender and to a whole mail; content
    `drop` drops the connection instead, `take and drop` takes the mail and drops it, `hang` says nothing.
    """

    port: int = 0
    password: str | None = None
    refusals: dict[str, str] = field(default_factory=dict)
    to_sender: str = OK
    to_content: str = OK
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    connections: int = 0
    encrypted: list[bool] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def mails(self) -> list[EmailMessage]:
        return [mail for _, mail in self.taken]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.names.append(session.host_name)
        if self.to_sender == OK:
            envelope.mail_from = address
        return self.to_sender

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.refusals.get(address, OK)
        if answer == OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.to_content == "hang":
            await asyncio.Event().wait()
        if self.to_content in (OK, "take and drop"):
            content = envelope.content
            assert isinstance(content, bytes)
            mail = BytesParser(policy=default).parsebytes(content)
            assert isinstance(mail, EmailMessage)
            self.raw.append(content)
            self.taken.append((list(envelope.rcpt_tos), mail))
            self.encrypted.append(session.ssl is not None)
        if "drop" in self.to_content:
            _abort(server)
        return self.to_content

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password == (self.password or "").encode(), handled=False)


def _abort(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, **behaviour: Any
) -> AsyncIterator[MailServer]:
    """Serve until the end of the block."""
    loop = asyncio.get_running_loop()
    server = MailServer(**behaviour)
    sessions: list[SMTP] = []

    def session() -> SMTP:
        server.connections += 1
        protocol = SMTP(
            server,
            hostname="mail.example",
            ident="a test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=server.password is not None,
            auth_require_tls=starttls is not None,
            authenticator=server.authenticate,
            loop=loop,
        )
        sessions.append(protocol)
        return protocol

    listener = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for each in sessions:
            _abort(each)
            if each._handler_coroutine is not None:
                each._handler_coroutine.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

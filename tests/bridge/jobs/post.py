"""Mail servers: aiosmtpd with or without TLS and logins, and some that misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as SMTP_POLICY, SMTPUTF8
import ssl
from typing import Any
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.bridge.feeds.syslog.certificates import Authority


class Mailbox:
    """What a mail server has taken, and whom it refuses."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.refused: dict[str, str] = {}
        self.answer = "250 OK"
        self.sender_answer = "250 OK"
        self.logins: list[bytes] = []
        self.login_answer: str | None = None
        self.secure: list[bool] = []
        self.greeted: list[str] = []

    # aiosmtpd looks at every property of its handler, so these are methods.

    def message(self) -> EmailMessage:
        """Return the last mail."""
        return self.read(SMTP_POLICY)

    def read(self, policy: Any = SMTPUTF8) -> EmailMessage:
        """Read the last mail."""
        content = self.envelopes[-1].content
        assert isinstance(content, bytes)
        message = BytesParser(policy=policy).parsebytes(content)
        assert isinstance(message, EmailMessage)
        return message

    def text(self) -> str:
        """Return the text of the last mail."""
        return str(self.message().get_content()).replace("\r\n", "\n")

    def raw(self) -> bytes:
        """Return the last mail as it came."""
        content = self.envelopes[-1].content
        assert isinstance(content, bytes)
        return content

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.greeted.append(str(session.host_name))
        if self.sender_answer.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return self.sender_answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("2"):
            self.envelopes.append(envelope)
            assert server.transport is not None
            self.secure.append(server.transport.get_extra_info("sslcontext") is not None)
        return self.answer

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Take one name and password."""
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        if self.login_answer is not None:
            return AuthResult(success=False, handled=False, message=self.login_answer)
        return AuthResult(success=data.login == b"ups" and data.password == "gehe\u00efm".encode(), handled=False)


def server_context(authority: Authority, *names: str, own: bool = False) -> ssl.SSLContext:
    """Make a certificate for a mail server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("mail" + "".join(names[:1]), *names, own=own))
    return context


@asynccontextmanager
async def mail_server(
    box: Mailbox, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    """Run a mail server; gives its port."""
    loop = asyncio.get_running_loop()
    servers: list[SMTP] = []

    def make() -> SMTP:
        secure: dict[str, Any] = {
            "tls_context": starttls,
            "require_starttls": starttls is not None,
            "auth_require_tls": False,
        }
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
            servers.append(SMTP(box, loop=loop, hostname="mail.example", **secure, **options))
        return servers[-1]

    server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in servers:
            transport: Any = one.transport
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0.01)

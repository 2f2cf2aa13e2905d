"""The mail server: how a mail is handed to it, and what its refusals mean (RFC 5321)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
import socket

import aiosmtplib

from ridethrough.addresses import plain
from ridethrough.config.jobs import MailConfig
from ridethrough.events.steps import ActionError

from .complaint import complaint, passing
from .context import JobLimits
from .trust import Trust
from .wording import one_line

TOO_LARGE = 552
"""Also of a full mailbox (RFC 1870 §6.1)."""
_LONGEST_ANSWER = 200


class TooLarge(ActionError):
    """The server does not take a mail of this size."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server took a mail for, and whom it refused with which words."""

    refused: dict[str, str]


class PostOffice:
    """Hands mails to one server, each over a connection of its own."""

    def __init__(self, config: MailConfig, limits: JobLimits) -> None:
        """Nothing is opened yet."""
        self._config = config
        self._limits = limits
        self._trust = Trust(config.ca)
        self.name = f"{config.host}:{config.port}"

    async def send(self, sender: str, receivers: Sequence[str], message: bytes, *, international: bool) -> Receipt:
        """Hand over a mail. Raises ActionError when nobody gets it; TooLarge when that is for its size."""
        try:
            async with asyncio.timeout(self._limits.mail):
                return await self._send(sender, receivers, message, international=international)
        except ActionError:
            raise
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = _refused({one.recipient: one for one in error.recipients})
            again = all(_passing(one.code) for one in error.recipients)
            raise ActionError(f"{self.name} refuses all receivers: {_list(refused)}.", again=again) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise ActionError(
                f"{self.name} refuses the login ({_answer(error)}); are username and password right?",
                again=_passing(error.code),
            ) from error
        except aiosmtplib.SMTPSenderRefused as error:
            sort = TooLarge if error.code == TOO_LARGE else ActionError
            raise sort(
                f"{self.name} refuses the sender {sender} ({_answer(error)}).", again=_passing(error.code)
            ) from error
        except aiosmtplib.SMTPDataError as error:
            if error.code == TOO_LARGE:
                raise TooLarge(
                    f"{self.name} does not take a mail of {len(message)} octets ({_answer(error)})."
                ) from error
            raise ActionError(
                f"{self.name} refuses the mail ({_answer(error)}).", again=_passing(error.code)
            ) from error
        except aiosmtplib.SMTPResponseException as error:
            if error.code < 0:
                raise ActionError(f"{self.name} does not speak SMTP ({_answer(error)}); is the port right?") from error
            raise ActionError(
                f"{self.name} will not have it ({_answer(error)}).", again=_passing(error.code)
            ) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self._trust.doubt()
            raise ActionError(complaint(error, f"the mail server {self.name}"), again=passing(error)) from error

    async def _send(self, sender: str, receivers: Sequence[str], message: bytes, *, international: bool) -> Receipt:
        smtp = await self._connected()
        try:
            options = ["SMTPUTF8"] if international else []
            if international and not smtp.supports_extension("smtputf8"):
                raise ActionError(f"{self.name} does not take addresses with letters beyond ASCII (RFC 6531).")
            most = smtp.esmtp_extensions.get("size", "")
            if most.isascii() and most.isdigit() and 0 < int(most) < len(message):
                raise TooLarge(f"{self.name} takes mails of {most} octets, and this one has {len(message)}.")
            refused, _ = await smtp.sendmail(sender, receivers, message, mail_options=options)
            return Receipt(_refused(refused))
        finally:
            await self._part(smtp)

    async def _connected(self) -> aiosmtplib.SMTP:
        """Connect, encrypt where that is wanted, and log in."""
        config = self._config
        secure = config.security != "none"
        smtp = aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port,
            timeout=self._limits.answer,
            use_tls=config.security == "tls",
            # Done below: a server that does not offer it must not be taken for one that need not.
            start_tls=False,
            tls_context=await self._trust.context() if secure else None,
            local_hostname="localhost",
        )
        try:
            await smtp.connect()
            smtp.local_hostname = _own_name(smtp)
            await smtp.ehlo()
            if config.security == "starttls":
                await self._encrypt(smtp)
            if config.username is not None:
                await self._log_in(smtp, config.username, config.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _encrypt(self, smtp: aiosmtplib.SMTP) -> None:
        if not smtp.supports_extension("starttls"):
            raise ActionError(
                f"{self.name} does not offer STARTTLS, and mails are not sent in the clear unless "
                "security: none permits it."
            )
        await smtp.starttls()
        await smtp.ehlo()

    async def _log_in(self, smtp: aiosmtplib.SMTP, username: str, password: str) -> None:
        if not smtp.supported_auth_methods:
            raise ActionError(
                f"{self.name} offers no login that the bridge knows (CRAM-MD5, PLAIN, LOGIN)"
                f"{'' if self._config.security != 'none' else '; many do so only over TLS'}."
            )
        await smtp.login(username, password)

    async def _part(self, smtp: aiosmtplib.SMTP) -> None:
        """Say goodbye, which no server needs: the mail is sent, or is not, already."""
        try:
            async with asyncio.timeout(1.0):
                await smtp.quit()
        except aiosmtplib.SMTPException, OSError, TimeoutError:
            pass
        finally:
            smtp.close()


def _own_name(smtp: aiosmtplib.SMTP) -> str:
    """Return this computer's name with its domain, or where it has none its address (RFC 5321 §4.1.3)."""
    name = socket.gethostname()
    if "." in name and name.isascii() and not set(name) & set(" \t\r\n"):
        return name
    try:
        address = plain(smtp.get_transport_info("sockname")[0])
    except ValueError, TypeError, IndexError:
        return "localhost"
    return f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]"


def _passing(code: int) -> bool:
    """Whether the server itself says that it may be over in a while (RFC 5321 §4.2.1)."""
    return 400 <= code < 500


def _answer(error: aiosmtplib.SMTPResponseException | aiosmtplib.SMTPResponse) -> str:
    said = one_line(error.message.encode("utf-8", "replace").decode())[:_LONGEST_ANSWER]
    return said if error.code < 0 else f"{error.code} {said}".strip()


def _refused(
    answers: dict[str, aiosmtplib.SMTPResponse] | dict[str, aiosmtplib.SMTPRecipientRefused],
) -> dict[str, str]:
    return {receiver: _answer(answer) for receiver, answer in answers.items()}


def _list(refused: dict[str, str]) -> str:
    return ", ".join(f"{receiver} ({answer})" for receiver, answer in refused.items())


__all__ = ["PostOffice", "Receipt", "TooLarge"]

"""A mail as it goes over the wire: headers, text, attachments. Pure but for the random part of its Message-ID."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid, parseaddr
import io
import zipfile

from .wording import one_line

LONGEST_SUBJECT = 200
ZIPPED = 256 * 1024
"""Octets from which an attachment is packed: the event log of years has some ten megabytes, a tenth of it packed."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that goes with a mail."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent, before anybody asks how."""

    sender: Address
    receivers: tuple[Address, ...]
    subject: str
    text: str
    at: datetime
    enclosures: tuple[Enclosure, ...] = ()

    @property
    def international(self) -> bool:
        """Whether an address needs a server that takes UTF-8 in addresses (RFC 6531)."""
        return not all(address.addr_spec.isascii() for address in (self.sender, *self.receivers))


def address_of(text: str) -> Address:
    """Read an address, with or without a name: `UPS <ups@example.org>`. Raises ValueError.

    A domain beyond ASCII is written as DNS has it (RFC 3490).
    """
    name, plain = parseaddr(text, strict=True)
    user, at, domain = plain.rpartition("@")
    if not (user and at and domain) or one_line(text) != text.strip() or set(plain) & set(' <>",;:()[]\\'):
        raise ValueError(f"{text!r:.200} is no mail address, as ups@example.org is.")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
        return Address(name, user, domain)
    except (UnicodeError, ValueError) as error:
        raise ValueError(f"{text!r:.200} is no mail address, as ups@example.org is.") from error


def packed(enclosure: Enclosure) -> Enclosure:
    """Put a long file into a ZIP archive. It takes a moment: call it in a thread."""
    if len(enclosure.content) < ZIPPED:
        return enclosure
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(enclosure.name, enclosure.content)
    return Enclosure(f"{enclosure.name}.zip", target.getvalue())


def write(letter: Letter, bridge: str) -> bytes:
    """Write the mail (RFC 5322); nothing that is in a text can become a header. Call it in a thread.

    All of it is ASCII, whatever the server can, unless an address cannot be.
    """
    policy = (SMTPUTF8 if letter.international else SMTP).clone(cte_type="7bit")
    message = EmailMessage(policy)
    message["From"] = letter.sender
    message["To"] = letter.receivers
    message["Subject"] = one_line(letter.subject)[:LONGEST_SUBJECT]
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = make_msgid(domain=letter.sender.domain)
    # So that holiday notices do not answer it (RFC 3834 §5).
    message["Auto-Submitted"] = "auto-generated"
    message["X-Mailer"] = one_line(bridge)
    message.set_content(_unicode(letter.text))
    for enclosure in letter.enclosures:
        kind = ("application", "zip") if enclosure.name.endswith(".zip") else ("text", "csv")
        message.add_attachment(enclosure.content, maintype=kind[0], subtype=kind[1], filename=one_line(enclosure.name))
    return message.as_bytes()


def names(addresses: Sequence[Address]) -> str:
    """Write addresses for a sentence."""
    return ", ".join(address.addr_spec for address in addresses)


def _unicode(text: str) -> str:
    """Return what UTF-8 can hold: devices say odd things."""
    return text.encode("utf-8", "replace").decode()


__all__ = ["Enclosure", "Letter", "address_of", "names", "packed", "write"]

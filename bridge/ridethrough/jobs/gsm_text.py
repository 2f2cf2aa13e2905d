"""A text message as GSM networks carry it: characters, parts and PDUs (3GPP TS 23.038, TS 23.040). Pure.

Everything is sent in PDU mode, which every modem must have; text mode depends on character sets that modems differ in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import re

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet, by number (TS 23.038 §6.2.1)."""
EXTENDED = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""What needs the escape before it, so that it takes two septets (§6.2.1.1)."""
ESCAPE = 0x1B
MOST_PARTS = 4
"""Each costs money; what is longer loses its end."""
SEPTETS, SEPTETS_OF_PART = 160, 153
"""Septets of a message, and of one of several, which has six octets of header (TS 23.040 §9.2.3.24.1)."""
UNITS, UNITS_OF_PART = 70, 67
"""The same in UCS2, in units of two octets."""
_NUMBER = re.compile(r"\+?[0-9]{3,20}")


@dataclass(frozen=True, slots=True)
class Pdu:
    """One part as a modem takes it."""

    text: str
    """In hexadecimal digits, with the empty address of the service centre before it: the SIM's own counts."""
    length: int
    """Octets without that address, which `AT+CMGS=` is told."""


def number_of(text: str) -> str:
    """Read a telephone number, `+49 151 23456789`; raises ValueError."""
    number = re.sub(r"[ ()./-]", "", text)
    if _NUMBER.fullmatch(number) is None:
        raise ValueError(f"{text!r:.60} is no telephone number, as +4915123456789 is.")
    return number


def pdus(number: str, text: str, reference: int) -> list[Pdu]:
    """Write a text as one message or up to four that belong together by `reference` (0–255)."""
    septets = _septets(text)
    if septets is not None:
        parts = _split(septets, SEPTETS, SEPTETS_OF_PART)
        return [_pdu(number, part, header, ucs2=False) for part, header in _headed(parts, reference)]
    units = _split([char.encode("utf-16-be", "replace") for char in text], UNITS * 2, UNITS_OF_PART * 2)
    return [_pdu(number, part, header, ucs2=True) for part, header in _headed(units, reference)]


def _septets(text: str) -> list[bytes] | None:
    """Return each character's septets; None when one of them is not in the alphabet."""
    found: list[bytes] = []
    for char in text:
        if char in EXTENDED:
            found.append(bytes((ESCAPE, EXTENDED[char])))
        elif char != "\x1b" and (index := BASIC.find(char)) >= 0:
            found.append(bytes((index,)))
        else:
            return None
    return found


def _split(characters: Sequence[bytes], whole: int, part: int) -> list[bytes]:
    """Cut between characters, never within one."""
    if sum(map(len, characters)) <= whole:
        return [b"".join(characters)]
    parts = [b""]
    for char in characters:
        if len(parts[-1]) + len(char) > part:
            if len(parts) == MOST_PARTS:
                break
            parts.append(b"")
        parts[-1] += char
    return parts


def _headed(parts: Sequence[bytes], reference: int) -> Iterator[tuple[bytes, bytes]]:
    for index, part in enumerate(parts):
        header = bytes((5, 0, 3, reference & 0xFF, len(parts), index + 1)) if len(parts) > 1 else b""
        yield part, header


def _pdu(number: str, data: bytes, header: bytes, *, ucs2: bool) -> Pdu:
    """Write SMS-SUBMIT without a validity period (TS 23.040 §9.2.2.2)."""
    digits = number.removeprefix("+")
    address = bytes((len(digits), 0x91 if number.startswith("+") else 0x81)) + _semi_octets(digits)
    first = 0x41 if header else 0x01
    if ucs2:
        content, length = header + data, len(header) + len(data)
    else:
        # The header takes whole septets, so that a telephone that ignores it shows the text all the same.
        fill = -(-len(header) * 8 // 7)
        content, length = _packed(header, data, fill), fill + len(data)
    submit = bytes((first, 0)) + address + bytes((0, 0x08 if ucs2 else 0x00, length)) + content
    return Pdu(f"00{submit.hex().upper()}", len(submit))


def _semi_octets(digits: str) -> bytes:
    padded = digits + "F" * (len(digits) % 2)
    return bytes(int(padded[index + 1] + padded[index], 16) for index in range(0, len(padded), 2))


def _packed(header: bytes, septets: bytes, fill: int) -> bytes:
    """Pack septets into octets, lowest bits first (TS 23.038 §6.1.2.1), behind the header."""
    bits = int.from_bytes(header, "little")
    for index, septet in enumerate(septets):
        bits |= septet << 7 * (fill + index)
    return bits.to_bytes(-(-7 * (fill + len(septets)) // 8), "little")


__all__ = ["BASIC", "EXTENDED", "MOST_PARTS", "Pdu", "number_of", "pdus"]

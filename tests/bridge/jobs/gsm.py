"""A GSM modem on a pseudo-terminal, and a reader of what it is told to send."""

import asyncio
from collections.abc import Callable
from pathlib import Path
import re

from ridethrough.jobs.gsm_text import BASIC, EXTENDED
from ridethrough.sim.pty import PtyLine

_BACK = {number: char for char, number in EXTENDED.items()}


def read(pdu: str) -> tuple[str, str, bytes]:
    """Read an SMS-SUBMIT: number, text, header of its user data. Written from the standard, not from our writer."""
    octets = bytes.fromhex(pdu)
    assert octets[0] == 0, "the service centre is the SIM's"
    first, count, kind = octets[1], octets[3], octets[4]
    assert first & 0x03 == 1, "SMS-SUBMIT"
    assert first & 0x18 == 0, "no validity period"
    size = (count + 1) // 2
    swapped = "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in octets[5 : 5 + size])
    assert swapped[count:] in ("", "F")
    number = ("+" if kind == 0x91 else "") + swapped[:count]
    protocol, coding, length = octets[5 + size : 8 + size]
    assert protocol == 0
    data = octets[8 + size :]
    header = data[: data[0] + 1] if first & 0x40 else b""
    if coding == 8:
        assert length == len(data) <= 140
        return number, data[len(header) :].decode("utf-16-be"), header
    assert coding == 0
    assert len(data) == (length * 7 + 7) // 8 <= 140
    bits = "".join(f"{octet:08b}"[::-1] for octet in data)
    septets = [int(bits[index * 7 : index * 7 + 7][::-1], 2) for index in range(length)]
    septets = septets[-(-len(header) * 8 // 7) :] if header else septets
    text, escaped = "", False
    for septet in septets:
        if escaped:
            text, escaped = text + _BACK[septet], False
        elif septet == 27:
            escaped = True
        else:
            text += BASIC[septet]
    return number, text, header


class FakeModem:
    """Answers as modems do, with an echo until told otherwise, and keeps what it was to send."""

    def __init__(self, folder: Path, pin: str | None = None) -> None:
        self.path = folder / "ttyModem"
        self._line = PtyLine(self._heard, link=self.path, baud=None)
        self._line.plug()
        self._buffer = b""
        self._echo = True
        self._prompted = False
        self.pin = pin
        self.tries: list[str] = []
        self.registration = ["1"]
        """What it says of its network, one after the other; the last one for ever."""
        self.sim = "READY"
        self.sent: list[str] = []
        self.lengths: list[int] = []
        self.commands: list[str] = []
        self.refusals: list[str] = []
        """What it answers to the next messages instead of sending them."""
        self.deaf = False
        self.silent_at = ""
        """The beginning of a command that it never answers."""
        self.noise = b""
        """What it says without being asked, before each answer."""
        self.answers: dict[str, bytes] = {}
        self.after_message: Callable[[], None] | None = None
        self._tasks: set[asyncio.Task[float | None]] = set()

    def close(self) -> None:
        """Unplug it."""
        self._line.unplug()

    def _say(self, data: bytes) -> None:
        task = asyncio.create_task(self._line.write(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _heard(self, data: bytes) -> None:
        if self.deaf:
            return
        self._buffer += data
        while True:
            end = re.search(rb"\x1a|\x1b" if self._prompted else rb"\r|\x1b", self._buffer)
            if end is None:
                return
            said, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
            if self._prompted:
                self._prompted = False
                self._message(said.decode("ascii"), sent=end[0] == b"\x1a")
            elif end[0] == b"\r" and said:
                self._command(said.decode("ascii", "replace"))

    def _message(self, pdu: str, *, sent: bool) -> None:
        if not sent:
            self._say(b"\r\nOK\r\n")
        elif self.refusals and (refusal := self.refusals.pop(0)):
            self._say(b"\r\n" + refusal.encode() + b"\r\n")
        elif self.after_message is not None:
            self.after_message()
        else:
            self.sent.append(pdu)
            self._say(b"\r\n+CREG: 1\r\n\r\n+CMGS: %d\r\n\r\nOK\r\n" % len(self.sent))

    def _command(self, command: str) -> None:
        self.commands.append(command)
        echo = command.encode() + b"\r" if self._echo else b""
        if self.silent_at and command.startswith(self.silent_at):
            return
        self._say(echo + self.noise + self._answer(command))

    def _answer(self, command: str) -> bytes:
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                return answer
        if command == "ATE0":
            self._echo = False
        elif command == "AT+CPIN?":
            return f"\r\n+CPIN: {'SIM PIN' if self.pin else self.sim}\r\n\r\nOK\r\n".encode()
        elif command.startswith("AT+CPIN="):
            self.tries.append(command[9:-1])
            if self.tries[-1] != self.pin:
                return b"\r\n+CME ERROR: 16\r\n"
            self.pin = None
        elif command == "AT+CREG?":
            state = self.registration.pop(0) if len(self.registration) > 1 else self.registration[0]
            return f"\r\n+CREG: 0,{state}\r\n\r\nOK\r\n".encode()
        elif command.startswith("AT+CMGS="):
            self.lengths.append(int(command[8:]))
            self._prompted = True
            return b"\r\n> "
        return b"\r\nOK\r\n"

"""Puts right what bac-py gets wrong, so that it can be tried with: fixtures that conftest files take over."""

from bac_py.encoding.primitives import decode_date, decode_time, encode_application_date, encode_application_time
from bac_py.types.constructed import BACnetDateTime, BACnetTimeStamp
import pytest

OPENING, CLOSING = b"\x2e", b"\x2f"
LENGTH = 12
"""Octets of a stamp that is a date and a time: two tags around them, and one before each."""


@pytest.fixture(autouse=True)
def stamps_with_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stamps be dates and times with their application tags.

    bac-py 1.5.7 leaves these out (BACnetTimeStamp's dateTime is a BACnetDateTime, which is a sequence of a Date and a
    Time, ASHRAE 135 §21); Wireshark, and the library that we use, expect them.
    """
    encode, decode = BACnetTimeStamp.encode, BACnetTimeStamp.decode

    def encode_rightly(self: BACnetTimeStamp) -> bytes:
        if not isinstance(self.value, BACnetDateTime):
            return encode(self)
        when = encode_application_date(self.value.date) + encode_application_time(self.value.time)
        return OPENING + bytes(when) + CLOSING

    def decode_rightly(
        cls: type[BACnetTimeStamp], data: memoryview | bytes, offset: int = 0
    ) -> tuple[BACnetTimeStamp, int]:
        octets = bytes(data[offset : offset + LENGTH])
        if octets[:1] != OPENING:
            return decode(data, offset)
        assert (octets[1], octets[6], octets[11:]) == (0xA4, 0xB4, CLOSING)
        when = BACnetDateTime(decode_date(octets[2:6]), decode_time(octets[7:11]))
        return BACnetTimeStamp(choice=2, value=when), offset + LENGTH

    monkeypatch.setattr(BACnetTimeStamp, "encode", encode_rightly)
    monkeypatch.setattr(BACnetTimeStamp, "decode", classmethod(decode_rightly))


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Let the client's library leave the timers of its transactions behind: it cancels none when it stops."""
    return True


__all__ = ["expected_lingering_timers", "stamps_with_tags"]

"""The transactions of those who ask (ASHRAE 135 §5.4), where the library's own would let strangers use them up.

The library answers a request that it cannot decode only after three seconds, keeps those that begin wrongly for ever,
takes as many at once as come, and makes segments that are five octets longer than the client accepts.
"""

from collections.abc import Callable
from typing import Any

from bacpypes3.apdu import (
    AbortPDU,
    APCISequence,
    ComplexAckPDU,
    ConfirmedRequestPDU,
    RejectPDU,
    RejectReason,
    confirmed_request_types,
)
from bacpypes3.appservice import COMPLETED, IDLE, ApplicationServiceAccessPoint, ServerSSM
from bacpypes3.errors import RejectException

TRANSACTIONS = 128
"""Requests being answered at once."""
LONGEST_WORK = 10_000
"""Milliseconds that an answer may take; a command waits for those before it."""
SEGMENT_HEADER = 5
"""Octets before the content of a segment of an answer (§20.1.5)."""
_MOST_SEGMENTS = 255
"""The library counts them in one octet."""
_SMALLEST = 50
"""Octets that everybody accepts (§20.1.2.5)."""


class Transaction(ServerSSM):
    """One request and its answer."""

    maxSegmentsAccepted: int | None  # noqa: N815 (the library's names)
    actualWindowSize: int | None  # noqa: N815

    async def request(self, apdu: Any) -> None:
        """Decode a request that is complete and pass it on; what is none is rejected at once."""
        if not isinstance(apdu, AbortPDU):
            try:
                apdu = APCISequence.decode(apdu)
            except Exception as error:  # noqa: BLE001 (the library raises whatever comes of wrong bytes)
                await self._reject(apdu, error)
                return
        apdu.pduSource = self.pdu_address
        apdu.pduDestination = None
        await self.ssmSAP.sap_request(apdu)

    async def confirmation(self, apdu: Any) -> None:
        """Send the answer, in pieces that the client accepts."""
        if apdu.apduType == ComplexAckPDU.pduType:
            self.maxApduLengthAccepted -= SEGMENT_HEADER
            if self.maxSegmentsAccepted is None:
                self.maxSegmentsAccepted = _MOST_SEGMENTS
        await super().confirmation(apdu)

    def abort(self, reason: Any) -> Any:
        """End it without an answer."""
        self.ssmSAP.refused()
        return super().abort(reason)

    async def segmented_response_timeout(self) -> None:
        """Send again what was not acknowledged; the library cannot before the first acknowledgement."""
        if self.actualWindowSize is None:
            self.actualWindowSize = 1
        await super().segmented_response_timeout()

    async def _reject(self, apdu: Any, error: Exception) -> None:
        reason: Any = RejectReason("invalid-tag")
        if apdu.apduService not in confirmed_request_types:
            reason = RejectReason("unrecognized-service")
        elif isinstance(error, RejectException):
            reason = RejectReason(error.rejectReason)
        elif isinstance(error, AttributeError):
            reason = RejectReason("missing-required-parameter")
        self.ssmSAP.refused()
        self.set_state(COMPLETED)
        await self.response(RejectPDU(self.invokeID, reason))


class Transactions(ApplicationServiceAccessPoint):
    """All requests that are being answered, and those that we have asked ourselves."""

    def __init__(self, device: Any, cache: Any, refused: Callable[[], None]) -> None:
        """`refused` is told of each request that could not be taken."""
        super().__init__(device, cache)
        self.refused = refused
        self.applicationTimeout = LONGEST_WORK

    async def confirmation(self, pdu: Any) -> None:
        """Take a packet from the network."""
        content = pdu.pduData
        if not content or content[0] >> 4 != ConfirmedRequestPDU.pduType:
            await super().confirmation(pdu)
            return
        if len(self.serverTransactions) >= TRANSACTIONS:
            self.refused()
            return
        apdu = ConfirmedRequestPDU.decode(pdu)
        for one in self.serverTransactions:
            if apdu.apduInvokeID == one.invokeID and apdu.pduSource == one.pdu_address:
                await one.indication(apdu)
                return
        if apdu.apduMaxResp >= 6:
            self.refused()
            return
        transaction = Transaction(self, apdu.pduSource)
        self.serverTransactions.append(transaction)
        try:
            await transaction.indication(apdu)
        finally:
            if transaction.state == IDLE and transaction in self.serverTransactions:
                self.serverTransactions.remove(transaction)

    def close(self) -> None:
        """Let go of all of them."""
        for transaction in [*self.serverTransactions, *self.clientTransactions]:
            transaction.stop_timer()
        self.serverTransactions.clear()
        self.clientTransactions.clear()


__all__ = ["Transactions"]

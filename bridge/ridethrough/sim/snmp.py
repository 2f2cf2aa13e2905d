"""The SNMP face of a UPS: an agent of v1 and v2c on UDP that serves the UPS-MIB, takes orders, and sends v2c traps.

snmpwalk -v2c -c public 127.0.0.1:1161 1.3.6.1.2.1.33
snmpset -v2c -c private 127.0.0.1:1161 1.3.6.1.2.1.33.1.7.1.0 o 1.3.6.1.2.1.33.1.7.7.4       a quick test
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from random import Random
import socket
import time

from .exchange import Exchanges
from .face import LOOPBACK, Address, Place
from .line import SOUND, LineFaults, spoil
from .snmp_message import Message, Oid, Pdu, Tag, Value, Version
from .unit import Unit
from .ups import is_alive
from .ups_mib import UPS, RefusedError, UpsMib

READ, WRITE = b"public", b"private"
"""Communities; any other is met with silence."""
_SYSTEM: Oid = (1, 3, 6, 1, 2, 1, 1)
_UPTIME = (*_SYSTEM, 3, 0)
_MAKER: Oid = (1, 3, 6, 1, 4, 1, 32473, 1)
"""The enterprise that is kept for examples (RFC 5612)."""
_TRAP_NAME: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
_ON_BATTERY, _TEST_COMPLETED, _ALARM_ADDED, _ALARM_REMOVED = ((*UPS, 2, number) for number in range(1, 5))
_ALARM_ID, _ALARM_DESCRIPTION = (*UPS, 1, 6, 2, 1, 1), (*UPS, 1, 6, 2, 1, 2)
_ON_BATTERY_AGAIN = 60.0
"""upsTrapOnBattery is repeated every minute (RFC 1628)."""
_NO_SUCH_NAME, _BAD_VALUE, _NO_ACCESS = 2, 3, 6
_TOO_BIG = 1
_LARGEST = 1472
"""Bytes of an answer that fits an Ethernet frame."""
_WAITING = 64
_GARBAGE_EVERY = 0.02


class SnmpPeer:
    """An agent on a UDP port."""

    def __init__(self, unit: Unit, catch_up: Callable[[], None], place: Place, seed: int = 1) -> None:
        """Answer for `unit`; `catch_up` is called before each answer."""
        self._unit = unit
        self._catch_up = catch_up
        self._address: Address = place.address or (LOOPBACK, 0)
        self._trap = place.trap
        self.mib = UpsMib(unit)
        self.faults: LineFaults = SOUND
        self.exchanges = Exchanges()
        self.requests = self.ignored = self.lost_bytes = 0
        self.traps = 0
        """Traps sent."""
        self._chance = Random(seed)
        self._plugged = True
        self._began = time.monotonic()
        self._socket: socket.socket | None = None
        self._waiting: asyncio.Queue[tuple[bytes, tuple[str, int], float]] = asyncio.Queue(_WAITING)
        self._client: tuple[str, int] | None = None
        self._told: dict[int, Oid] = {}
        self._told_on_battery = float("-inf")
        self._testing = False

    @property
    def where(self) -> str | None:
        """Host and port; None while its cable is pulled."""
        if self._socket is None or not self._plugged:
            return None
        host, port, *_ = self._socket.getsockname()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def plugged(self) -> bool:
        """Whether its cable is plugged in."""
        return self._plugged

    def open(self) -> None:
        """Listen. Raises OSError when the address is taken or none of this machine's."""
        if self._socket is not None:
            return
        family, _, _, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.bind(address)
        except OSError:
            opened.close()
            raise
        self._socket = opened

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def set_plugged(self, plugged: bool) -> None:
        """Pull the cable or put it back."""
        self._plugged = plugged

    async def run(self) -> None:
        """Answer until cancelled."""
        assert self._socket is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive(self._socket))
            tasks.create_task(self._serve())
            tasks.create_task(self._flood())

    def look(self) -> None:
        """Send the traps of what has happened."""
        self.mib.look()
        present = {number: name for number, (name, _) in self.mib.alarms.items()}
        before, self._told = self._told, present
        for trap, alarms in (
            (_ALARM_ADDED, {number: name for number, name in present.items() if number not in before}),
            (_ALARM_REMOVED, {number: name for number, name in before.items() if number not in present}),
        ):
            for number, name in alarms.items():
                self._tell(
                    trap,
                    ((*_ALARM_ID, number), Value(Tag.INTEGER, number)),
                    ((*_ALARM_DESCRIPTION, number), Value(Tag.OID, name)),
                )
        state = self._unit.state
        if not state.on_battery:
            self._told_on_battery = float("-inf")
        elif not 0.0 <= state.elapsed - self._told_on_battery < _ON_BATTERY_AGAIN:
            self._told_on_battery = state.elapsed
            self._tell(_ON_BATTERY, *self._shown((2, 3, 0), (2, 2, 0), (9, 7, 0)))
        testing = state.test is not None
        if self._testing and not testing:
            self._tell(_TEST_COMPLETED, *self._shown(*((7, number, 0) for number in range(1, 7))))
        self._testing = testing

    def _shown(self, *names: Oid) -> list[tuple[Oid, Value]]:
        objects = self.mib.objects()
        return [((*UPS, 1, *name), objects[*UPS, 1, *name]) for name in names]

    def _tell(self, trap: Oid, *variables: tuple[Oid, Value]) -> None:
        if self._trap is None or self._socket is None or not self._plugged or not self._is_alive():
            return
        self.traps += 1
        rows = ((_UPTIME, self._uptime()), (_TRAP_NAME, Value(Tag.OID, trap)), *variables)
        self._send(Message(Version.V2C, READ, Pdu.TRAP, self.traps, variables=rows).encode(), self._trap)

    def _send(self, data: bytes, to: Address) -> float | None:
        """Send; the wall clock right after it, None when it cannot be sent."""
        assert self._socket is not None
        try:
            self._socket.sendto(data, to)
        except OSError:
            self.lost_bytes += len(data)
            return None
        return time.time()

    def _is_alive(self) -> bool:
        return is_alive(self._unit.design, self._unit.state, self._unit.inputs)

    async def _receive(self, opened: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data, origin = await loop.sock_recvfrom(opened, 65535)
            if not self._plugged:
                continue
            if self._waiting.full():
                self.ignored += 1
                continue
            self._waiting.put_nowait((data, origin, time.time()))

    async def _serve(self) -> None:
        while True:
            data, origin, received_at = await self._waiting.get()
            self._client = origin
            if self.faults.delay:
                await asyncio.sleep(self.faults.delay)
            if not self._plugged:
                continue
            self._catch_up()
            answer = self._answer(data) if self._is_alive() else b""
            if self.faults.silent:
                answer = b""
            elif self.faults.echo:
                self._send(data, origin)
            answer = spoil(answer, self.faults, self._chance)
            stamp = self._send(answer, origin) if answer else None
            self.exchanges.add(data, answer, received_at, stamp)

    async def _flood(self) -> None:
        while True:
            await asyncio.sleep(_GARBAGE_EVERY)
            if self.faults.flood and self._plugged and self._client is not None:
                self._send(self._chance.randbytes(64), self._client)

    def _answer(self, data: bytes) -> bytes:
        """Answer a datagram; b"" when there is no answer."""
        try:
            request = Message.decode(data)
        except ValueError:
            self.ignored += 1
            return b""
        if request.community not in (READ, WRITE) or request.pdu in (Pdu.RESPONSE, Pdu.TRAP):
            self.ignored += 1
            return b""
        self.requests += 1
        match request.pdu:
            case Pdu.SET:
                answer = self._set(request)
            case Pdu.GET_BULK if request.version is Version.V2C:
                return self._bulk(request)
            case _:
                answer = self._get(request)
        encoded = answer.encode()
        if len(encoded) <= _LARGEST:
            return encoded
        return _failed(request, _TOO_BIG, 0).encode()

    def _uptime(self) -> Value:
        return Value(Tag.TICKS, int((time.monotonic() - self._began) * 100))

    def _objects(self) -> dict[Oid, Value]:
        return {
            (*_SYSTEM, 1, 0): Value(Tag.OCTETS, f"Ridethrough simulated {self._unit.design.model}".encode()),
            (*_SYSTEM, 2, 0): Value(Tag.OID, _MAKER),
            _UPTIME: self._uptime(),
            **self.mib.objects(),
        }

    def _get(self, request: Message) -> Message:
        """GET and GETNEXT."""
        objects = self._objects()
        names, rows = sorted(objects), []
        for index, (name, _) in enumerate(request.variables, 1):
            if request.pdu is Pdu.GET:
                row = name, objects.get(name, Value(Tag.NO_INSTANCE))
            else:
                row = _following(objects, names, name)
            if row[1].tag in (Tag.NO_INSTANCE, Tag.END) and request.version is Version.V1:
                return _failed(request, _NO_SUCH_NAME, index)
            rows.append(row)
        return replace(request, pdu=Pdu.RESPONSE, error=0, index=0, variables=tuple(rows))

    def _bulk(self, request: Message) -> bytes:
        """GETBULK: as many rows as fit."""
        objects = self._objects()
        names, rows = sorted(objects), []
        single = max(0, request.error)
        for name, _ in request.variables[:single]:
            rows.append(_following(objects, names, name))
        cursors = [name for name, _ in request.variables[single:]]
        answer = replace(request, pdu=Pdu.RESPONSE, error=0, index=0, variables=tuple(rows))
        encoded = answer.encode()
        for _ in range(max(0, min(request.index, len(objects))) if cursors else 0):
            found = [_following(objects, names, name) for name in cursors]
            rows += found
            cursors = [name for name, _ in found]
            longer = replace(answer, variables=tuple(rows)).encode()
            if len(longer) > _LARGEST or all(value.tag is Tag.END for _, value in found):
                return encoded if len(longer) > _LARGEST else longer
            encoded = longer
        return encoded

    def _set(self, request: Message) -> Message:
        if request.community != WRITE:
            refusal = _NO_SUCH_NAME if request.version is Version.V1 else _NO_ACCESS
            return _failed(request, refusal, 1)
        try:
            self.mib.set(request.variables)
        except RefusedError as error:
            reason = int(error.reason) if request.version is Version.V2C else _BAD_VALUE
            return _failed(request, reason, error.args[0])
        return replace(request, pdu=Pdu.RESPONSE, error=0, index=0)


def _following(objects: dict[Oid, Value], names: list[Oid], name: Oid) -> tuple[Oid, Value]:
    place = bisect_right(names, name)
    return (name, Value(Tag.END)) if place == len(names) else (names[place], objects[names[place]])


def _failed(request: Message, error: int, index: int) -> Message:
    return replace(request, pdu=Pdu.RESPONSE, error=error, index=index)

"""Debian's libmodbus as a Modbus server, in a process of its own: our Modbus link's other end.

    async with Modbusd(["tcp", "0"], registers={109: 4}) as server:
        … f"modbus://127.0.0.1:{server.port}/1" …
        server.write(109, 12)

`["rtu", "/dev/pts/7", "9600", "1"]` serves unit 1 on a serial line. Registers from `first` on, `number` of them, exist;
others are refused. Uses only the standard library, so that a script may use it as well.
"""

import asyncio
from collections.abc import Mapping, Sequence
import ctypes
import ctypes.util
from pathlib import Path
import socket
import subprocess
import sys
import threading
from typing import Any, Self

LIBRARY = "libmodbus.so.5"


def missing() -> list[str]:
    """Name the libraries that are not installed."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return [LIBRARY]
    return []


class Modbusd:
    """A server with holding and input registers of the same values."""

    def __init__(
        self, line: Sequence[str], registers: Mapping[int, int], *, first: int = 0, number: int = 65536
    ) -> None:
        self.port = 0
        self._arguments = [*line, str(first), str(number)]
        self._registers = dict(registers)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__)),
            *self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for address, value in self._registers.items():
            self.write(address, value)
        self._say("go")
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            self.port = int(await self._process.stdout.readline() or b"-1")
        if self.port < 0:
            raise RuntimeError("libmodbus could not serve; see what it printed")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def write(self, address: int, value: int) -> None:
        """Give a register a value, from -32768 to 65535."""
        self._say(f"{address} {value & 0xFFFF}")

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())


# In the process of its own


class _Mapping(ctypes.Structure):
    """modbus_mapping_t of modbus.h."""

    _fields_ = [
        *((name, ctypes.c_int) for table in ("bits", "input_bits") for name in (f"nb_{table}", f"start_{table}")),
        *(
            (name, ctypes.c_int)
            for table in ("input_registers", "registers")
            for name in (f"nb_{table}", f"start_{table}")
        ),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    ]


def _serve(arguments: list[str]) -> None:
    library = ctypes.CDLL(LIBRARY, use_errno=True)
    for name in ("modbus_new_tcp", "modbus_new_rtu", "modbus_mapping_new_start_address"):
        getattr(library, name).restype = ctypes.c_void_p
    first, number = map(int, arguments[-2:])
    mapping = ctypes.c_void_p(
        library.modbus_mapping_new_start_address(
            *(ctypes.c_uint(value) for value in (0, 64, 0, 64, first, number, first, number))
        )
    )
    tables = ctypes.cast(mapping, ctypes.POINTER(_Mapping)).contents
    go = threading.Event()
    threading.Thread(target=_listen, args=(tables, first, go), daemon=True).start()
    go.wait()
    if arguments[0] == "tcp":
        _serve_tcp(library, mapping, int(arguments[1]))
    else:
        _serve_rtu(library, mapping, arguments[1], int(arguments[2]), int(arguments[3]))


def _listen(tables: Any, first: int, go: threading.Event) -> None:
    for line in sys.stdin:
        if line.strip() == "go":
            go.set()
            continue
        address, value = map(int, line.split())
        tables.tab_registers[address - first] = tables.tab_input_registers[address - first] = value


def _serve_tcp(library: ctypes.CDLL, mapping: ctypes.c_void_p, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        context = ctypes.c_void_p(library.modbus_new_tcp(b"127.0.0.1", port))
        _report(listener.getsockname()[1])
        handle = ctypes.c_int(listener.fileno())
        while library.modbus_tcp_accept(context, ctypes.byref(handle)) >= 0:
            _answer(library, context, mapping)
            library.modbus_close(context)


def _serve_rtu(library: ctypes.CDLL, mapping: ctypes.c_void_p, path: str, baud: int, unit: int) -> None:
    context = ctypes.c_void_p(library.modbus_new_rtu(path.encode(), baud, ctypes.c_char(b"N"), 8, 1))
    library.modbus_set_slave(context, unit)
    if library.modbus_connect(context) < 0:
        _report(-1)
        return
    _report(0)
    while True:
        _answer(library, context, mapping)


def _report(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


def _answer(library: ctypes.CDLL, context: ctypes.c_void_p, mapping: ctypes.c_void_p) -> None:
    """Answer until the connection ends, or something unreadable comes."""
    query = (ctypes.c_uint8 * 260)()
    while (length := library.modbus_receive(context, query)) >= 0:
        if length:
            library.modbus_reply(context, query, length, mapping)


if __name__ == "__main__":
    _serve(sys.argv[1:])

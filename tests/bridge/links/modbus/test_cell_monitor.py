"""Cell monitors with a register map that a person has written, and the sample that comes with the bridge."""

from importlib import resources
from pathlib import Path

import pytest

from ridethrough.battery.layout import Layout
from ridethrough.links.context import LinkContext
from ridethrough.links.schemes import check_link
from tests.bridge.links.conftest import Notebook

from .conftest import run_link
from .standin import Standin

SAMPLE = resources.files("ridethrough.maps") / "samples" / "cell_monitor.csv"
HEAD = next(line for line in SAMPLE.read_text(encoding="utf-8").splitlines() if line.startswith("address,"))


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def monitor() -> dict[int, int]:
    """Give the registers of a monitor with three of four blocks in two strings."""
    registers = dict.fromkeys(range(8, 1060), 0xFFFF)
    registers |= {10: 0xFFF6, 11: 271, 12: 20, 13: 270}
    for number in range(1, 5):
        registers |= {96 + 4 * number: 13500 + number, 97 + 4 * number: 215, 98 + 4 * number: 431, 99 + 4 * number: 0}
    return registers | {112: 12000, 115: 1, 110: 0}


async def test_the_sample_reads_the_configured_blocks(notebook: Notebook, context: LinkContext, map_file: Path) -> None:
    told = LinkContext(context.clock, context.ports, layout=Layout.of([2, 2]))
    async with Standin(monitor()) as device:
        url = f"modbus://127.0.0.1:{device.port}/1?map={map_file}&poll=0.1"
        async with run_link(url, notebook, told):
            await notebook.until(lambda: ("battery_module", "4") in notebook.children)
        asked = {address for heard in device.heard for address in range(heard.address, heard.address + heard.count)}
    blocks = {int(number): part for (kind, number), part in notebook.children.items() if kind == "battery_module"}
    assert sorted(blocks) == [1, 2, 3, 4]
    assert blocks[1].points == {"module.voltage": 13.501, "module.temperature": 21.5, "module.impedance": 4.31}
    assert blocks[3].points["module.impedance"] is None
    # A block that does not answer its monitor has no values.
    assert (blocks[4].points, blocks[4].conditions) == ({}, {"module.lost": True})
    assert notebook.children["battery_string", "1"].points == {"string.current": -1.0, "string.voltage": 27.1}
    assert max(asked) < 116


async def test_a_map_of_blocks_alone_is_enough(notebook: Notebook, context: LinkContext, tmp_path: Path) -> None:
    own = tmp_path / "volts.csv"
    own.write_text(f"{HEAD}\n100,2:1,4,u16,,,0.001,,battery_module:{{m}},module.voltage,,,,,,V {{m}},,\n")
    async with (
        Standin({100: 2250, 101: 2260}) as device,
        run_link(f"modbus://127.0.0.1:{device.port}/1?map={own}&poll=0.1", notebook, context),
    ):
        await notebook.until_poll()
        await notebook.until(lambda: ("battery_module", "2") in notebook.children)
    assert notebook.children["battery_module", "2"].points == {"module.voltage": 2.26}


def test_a_map_makes_it_a_battery_system(map_file: Path) -> None:
    assert check_link(f"modbus:/dev/ttyUSB0?unit=3&map={map_file}") == "battery_system"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("", "has no rows"),
        ("100,,3,u16,,,1,,battery_module:1,module.wrong,,,,,,x,,", "line 2: a battery_module has no module.wrong"),
        (
            "100,,3,u16,,,1,,battery_cell:1,module.voltage,,,,,,x,,",
            "line 2: there is no kind of device called battery_cell",
        ),
        ("100,,3,u16,,,1,,,,module.wrong,,,,,x,,", "line 2: a battery_system has no module.wrong"),
        ("100,,3,u17,,,1,,,,,,,,,x,,", "line 2: 'u17'"),
        (
            "100,,3,u32,,,1,,battery_module:1,module.voltage,,,,,,x,,\n101,,3,u16,,,1,,battery_module:2,module.voltage,,,,,,y,,",
            "line 3: it claims a part of line 2's registers",
        ),
        ("100,,3", "line 2: 3 cells instead of 18"),
    ],
    ids=["empty", "point", "kind", "condition", "type", "overlap", "cells"],
)
def test_a_wrong_map_is_refused_with_its_line(rows: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEAD}\n{rows}\n")
    with pytest.raises(ValueError, match=sentence):
        check_link(f"modbus://h/1?map={path}")


def test_a_map_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    binary, large = tmp_path / "b.csv", tmp_path / "l.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_text("#" * (1024 * 1024 + 2))
    for path, sentence in (
        (tmp_path / "none.csv", "cannot be read: No such file"),
        (binary, "it is no text in UTF-8"),
        (large, "larger than 1024 KiB"),
    ):
        with pytest.raises(ValueError, match=sentence):
            check_link(f"modbus://h/1?map={path}")
    with pytest.raises(ValueError, match="write only one of them"):
        check_link(f"modbus://h/1?map={tmp_path}&profile=bacs")

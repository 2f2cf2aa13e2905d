"""Battery systems for tests, as a configuration file would describe them."""

from collections.abc import Mapping
from typing import Literal

from ridethrough.battery.board import Board
from ridethrough.battery.layout import Layout
from ridethrough.config.battery import (
    BatteryConfig,
    BlockConfig,
    BoxConfig,
    ContactConfig,
    DischargeConfig,
    RunawayConfig,
    SensorsConfig,
)

LEAD = BlockConfig()
USUAL = DischargeConfig()
UNWATCHED = RunawayConfig()

type Count = Literal["none", "one", "each"]


def battery(
    *,
    sensors: Count = "each",
    multiplier: float = 1.0,
    block: BlockConfig = LEAD,
    discharge: DischargeConfig = USUAL,
    runaway: RunawayConfig = UNWATCHED,
    boxes: tuple[BoxConfig, ...] = (),
) -> BatteryConfig:
    """Make the configuration of a system."""
    return BatteryConfig(
        key="battery-1",
        name="Battery",
        link="module_bus:/dev/ttyUSB1",
        block=block,
        sensors=SensorsConfig(sensors, multiplier),
        discharge=discharge,
        runaway=runaway,
        boxes=boxes,
    )


def box(
    outputs: Mapping[int, ContactConfig] | None = None, inputs: Mapping[int, ContactConfig] | None = None
) -> BoxConfig:
    """Make the configuration of a box."""
    return BoxConfig(inputs or {}, outputs or {})


def fill(column: list[float | None], layout: Layout, each: tuple[float | None, ...]) -> None:
    """Give all blocks one value, or those of each string one of their own."""
    for number in range(1, layout.blocks + 1):
        column[number] = each[0] if len(each) == 1 else each[layout.string_of(number) - 1]


def volts(board: Board, *each: float | None) -> None:
    fill(board.voltage, board.layout, each)


def warmth(board: Board, *each: float | None) -> None:
    fill(board.temperature, board.layout, each)


def amps(board: Board, *each: float | None) -> None:
    board.current[1:] = list(each)

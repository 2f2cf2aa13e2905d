"""The battery log of the whole bridge, as far as the configuration and the disk permit one."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
import logging

from ridethrough.battery.board import Board
from ridethrough.clock import Clock
from ridethrough.config import BridgeConfig
from ridethrough.config.battery import BatteryLogConfig
from ridethrough.site import DeviceId
from ridethrough.store import BatteryLog, BatteryLogError, samples_of

_LOGGER = logging.getLogger(__name__)
FILE = "battery.db"


async def opened_log(config: BridgeConfig, clock: Clock, stack: AsyncExitStack) -> BatteryLog | None:
    """Open it for as long as `stack`; without it everything else goes on."""
    wanted = config.batteries[0].log if config.batteries else BatteryLogConfig()
    try:
        return await stack.enter_async_context(
            BatteryLog.open(wanted.database or config.data / FILE, clock, size=wanted.size)
        )
    except BatteryLogError as error:
        _LOGGER.error("Nothing is entered into the battery log until the bridge is started again: %s", error)
        return None


def entering(log: BatteryLog) -> Callable[[DeviceId, datetime, Board], None]:
    """Return what takes the state of a system into the log; it never waits."""
    return lambda system, at, board: log.write(system, at, samples_of(board))


__all__ = ["entering", "opened_log"]

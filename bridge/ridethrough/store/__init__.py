"""What the bridge remembers: the event journal, commands and steps under way, its own identity, the API's tokens."""

from .battery_blocks import Sample, samples_of
from .battery_log import BatteryLog, BatteryLogError
from .charges import Charge, Charges
from .database import StoreError
from .facts import Facts
from .identities import Identities
from .inventory import Inventory, InventoryError
from .journal import Journal
from .numbers import Numbers
from .pending import Pending
from .steps import Steps
from .store import Store
from .tokens import TokenError, TokenInfo, Tokens

__all__ = [
    "BatteryLog",
    "BatteryLogError",
    "Charge",
    "Charges",
    "Facts",
    "Identities",
    "Inventory",
    "InventoryError",
    "Journal",
    "Numbers",
    "Pending",
    "Sample",
    "Steps",
    "Store",
    "StoreError",
    "TokenError",
    "TokenInfo",
    "Tokens",
    "samples_of",
]

"""What the bridge remembers: the event journal, commands and steps under way, its own identity, the API's tokens."""

from .charges import Charge, Charges
from .database import StoreError
from .facts import Facts
from .identities import Identities
from .journal import Journal
from .numbers import Numbers
from .pending import Pending
from .steps import Steps
from .store import Store
from .tokens import TokenError, TokenInfo, Tokens

__all__ = [
    "Charge",
    "Charges",
    "Facts",
    "Identities",
    "Journal",
    "Numbers",
    "Pending",
    "Steps",
    "Store",
    "StoreError",
    "TokenError",
    "TokenInfo",
    "Tokens",
]

"""What the bridge remembers: the event journal, its own identity, the API's tokens."""

from .database import StoreError
from .identities import Identities
from .journal import Journal
from .store import Store
from .tokens import TokenError, TokenInfo, Tokens

__all__ = ["Identities", "Journal", "Store", "StoreError", "TokenError", "TokenInfo", "Tokens"]

"""An existing BACS web manager, read by Modbus (manual M:11154) or by SNMP (M:12102). Nothing is ever written to it.

The bridge does not judge these blocks: what is wrong with them the web manager itself says, by its flags.
"""

from .link import BacsLink, BacsSnmpLink

__all__ = ["BacsLink", "BacsSnmpLink"]

"""UPSes with an SNMP card: RFC 1628, its public extension, and makers' own MIBs."""

from .link import SnmpLink

__all__ = ["SnmpLink"]
